"""A Keystone and a Glance on one machine, in namespaces of their own, recorded while something is done with them."""
