"""The verbs, end to end: the only place where the stages meet.

``dataset`` lists and splits, ``training`` goes from a folder to a run, ``artefacts`` fills the run
folder, ``measuring`` measures a finished model on files, ``run`` is a finished run in Python's
hands. Everything above (command line, page) calls these and prints.
"""
