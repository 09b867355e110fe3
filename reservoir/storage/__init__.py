"""How the words of the domain are kept: the store, its keys, one module per noun, and the engine that runs embedded."""
