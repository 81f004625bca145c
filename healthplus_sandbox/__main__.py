from healthplus.settings import Settings
from healthplus_sandbox.commands import sandbox_bank_command

sandbox_bank_command(obj=Settings.from_environment())
