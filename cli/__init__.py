"""The command line of akpsim, installed as `akpsim_cli`: arguments in, one or two library calls, one line out."""
