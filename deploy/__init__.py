"""How a board gets its agent; boards/*.toml are package data, read by contract.profile alone."""
