package components

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

// runDNS runs CoreDNS with the plugins a cluster needs. The order of the directives is the order in which they see a query; it is
// CoreDNS's own, less the plugins that are not compiled in.
func runDNS() int {
	dnsserver.Directives = []string{
		"metadata", "reload", "bind", "health", "ready", "prometheus", "errors", "loadbalance", "cache", "kubernetes", "loop",
	}
	coremain.Run()
	return 0
}
