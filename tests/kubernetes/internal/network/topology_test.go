package network

import "testing"

func TestLinkFlags(t *testing.T) {
	up := "5: n1@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br0 state UP"
	if got := linkFlags(up); got != "BROADCAST,MULTICAST,UP,LOWER_UP" {
		t.Errorf("flags are %q", got)
	}
	if got := linkFlags("nonsense"); got != "" {
		t.Errorf("flags of nonsense are %q", got)
	}
}
