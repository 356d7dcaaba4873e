//! Cubecast proves here.
