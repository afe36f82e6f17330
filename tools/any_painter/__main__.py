from any_painter import main

main()
