//! Where the control plane keeps what it knows: SQLite.
