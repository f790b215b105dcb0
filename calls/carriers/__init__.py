"""Our side towards carriers: whom we let in, what we ask of them, what we fetch."""
