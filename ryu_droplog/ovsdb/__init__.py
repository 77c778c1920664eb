"""What is asked of Open vSwitch's and OVN's databases, and of ovs-vswitchd; one row is written."""
