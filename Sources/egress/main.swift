internal import ApusEgress

EgressProcess.run()
