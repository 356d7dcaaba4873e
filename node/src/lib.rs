//! Cubecast performs here.
