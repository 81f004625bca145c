from healthplus.errors import HealthPlusError
from healthplus_sandbox.commands import sandbox_bank_command

try:
    sandbox_bank_command()
except HealthPlusError as error:
    raise SystemExit(f"Error: {error}") from None
