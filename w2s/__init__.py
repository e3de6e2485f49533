"""The nouns that the stages share. Nobody needs to open them to run, to edit a loss or to read a result."""
