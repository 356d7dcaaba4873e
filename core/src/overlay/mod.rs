//! Links, who hears whom, and the way to everywhere.
