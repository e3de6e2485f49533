"""The nouns that the stages share: to run, edit a loss or read a result, open none of them."""
