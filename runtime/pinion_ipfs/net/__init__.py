"""What lies below every connection: which addresses may be asked, proxies, trust, sockets, streams in threads."""
