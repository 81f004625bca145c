from healthplus.cli import main

main()
