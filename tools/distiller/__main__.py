from distiller import main

main()
