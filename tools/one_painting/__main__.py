from one_painting import main

main()
