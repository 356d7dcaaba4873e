//! Cubecast shows here.
