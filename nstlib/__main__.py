from nstlib.cli import main

raise SystemExit(main())
