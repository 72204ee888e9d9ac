"""Weights: where they come from, a look before they are loaded, whose names they bear, and strict loading.

`checkpoint.py` is where to begin: it reads weights from wherever they are (`catalog`, `fetching`, `hub_config`), after
`inspection`, through `model_file` or `pickled`. `foreign` and `keymaps` bring other libraries' names under ours,
`adapting` gives a new head, `presumption` says what nothing says, `recognition` tells which model a file fits, and
`loading` copies all of it or nothing.
"""
