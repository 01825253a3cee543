"""Pure decisions about IpfsBackends."""
