//! Cubecast decides here.
