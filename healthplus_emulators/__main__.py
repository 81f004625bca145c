from healthplus_emulators.commands import emulate

emulate()
