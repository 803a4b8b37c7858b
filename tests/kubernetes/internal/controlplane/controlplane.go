// Package controlplane gives the command lines of the control plane's programs. It starts nothing.
package controlplane

import (
	"path/filepath"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

const etcdEndpoint = "http://127.0.0.1:2379" // of the switch's namespace

// Names of the programs, which are also the names of their processes.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
)

// Names lists the programs in the order in which they start.
func Names() []string { return []string{Etcd, APIServer, ControllerManager, Scheduler} }

// Args gives the arguments of one of the programs.
func Args(name string, home layout.Home) []string {
	switch name {
	case Etcd:
		return etcd(home)
	case APIServer:
		return apiServer(home)
	case ControllerManager:
		return controllerManager(home)
	default:
		return scheduler(home)
	}
}

func etcd(home layout.Home) []string {
	const peer = "http://127.0.0.1:2380"
	return []string{
		"--name=kubebox",
		"--data-dir=" + home.Etcd(),
		"--listen-client-urls=" + etcdEndpoint, "--advertise-client-urls=" + etcdEndpoint,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=kubebox=" + peer,
		// A test cluster does not outlive the machine, and what is under test needs the disk's syncs more than etcd does.
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

func apiServer(home layout.Home) []string {
	pki := func(name string) string { return filepath.Join(home.PKI(), name) }
	return []string{
		"--etcd-servers=" + etcdEndpoint,
		"--bind-address=0.0.0.0",
		"--advertise-address=" + layout.ControlPlaneIP,
		"--service-cluster-ip-range=" + layout.ServiceNetwork,
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("kubelet-client.crt"), "--kubelet-client-key=" + pki("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc." + layout.ClusterDomain,
		"--service-account-signing-key-file=" + pki("accounts.key"), "--service-account-key-file=" + pki("accounts.pub"),
		"--requestheader-client-ca-file=" + pki("ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + pki("front-proxy.crt"), "--proxy-client-key-file=" + pki("front-proxy.key"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		// No kube-proxy runs beside the control plane, so webhooks and API services are reached at their pods, not at Service addresses.
		"--enable-aggregator-routing=true",
	}
}

func controllerManager(home layout.Home) []string {
	kubeconfig := home.ComponentKubeconfig(ControllerManager)
	pki := func(name string) string { return filepath.Join(home.PKI(), name) }
	return []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--service-account-private-key-file=" + pki("accounts.key"),
		"--root-ca-file=" + pki("ca.crt"),
		"--cluster-signing-cert-file=" + pki("ca.crt"), "--cluster-signing-key-file=" + pki("ca.key"),
		"--use-service-account-credentials=true",
		"--allocate-node-cidrs=true", "--cluster-cidr=" + layout.PodNetwork, "--service-cluster-ip-range=" + layout.ServiceNetwork,
		"--leader-elect=false",
		// Ten seconds less than the default, which is long enough for a busy machine and as much as a test should have to wait.
		"--node-monitor-grace-period=40s",
		// A claim that two controllers wrote at once is looked at again after this long; by default it is 15 s.
		"--pvclaimbinder-sync-period=1s",
		// Its own rate limit would make its start take six seconds instead of two.
		"--kube-api-qps=300", "--kube-api-burst=500",
	}
}

func scheduler(home layout.Home) []string {
	kubeconfig := home.ComponentKubeconfig(Scheduler)
	return []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
	}
}
