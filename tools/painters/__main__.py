from painters import main

main()
