package cluster

import (
	"context"
	"fmt"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// api asks the cluster's API server.
type api struct{ client kubernetes.Interface }

func newAPI(kubeconfig string) (*api, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("cannot read the kubeconfig %s: %w", kubeconfig, err)
	}
	config.Timeout = 5 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	return &api{client: client}, nil
}

func (a *api) ready(ctx context.Context) error {
	return a.client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// podNetwork gives the addresses that the controller-manager has set aside for a node's pods.
func (a *api) podNetwork(ctx context.Context, name string) (string, error) {
	found, err := a.client.CoreV1().Nodes().Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return "", err
	}
	if found.Spec.PodCIDR == "" {
		return "", errNotYet
	}
	return found.Spec.PodCIDR, nil
}

// nodeReady wants a sign of life from after a point in time, too, unless that is zero: for 40 s after its end a node still counts as Ready.
func (a *api) nodeReady(name string, since time.Time) func(context.Context) error {
	return func(ctx context.Context) error {
		found, err := a.client.CoreV1().Nodes().Get(ctx, name, meta.GetOptions{})
		if err != nil {
			return err
		}
		condition := readiness(found)
		if condition.Status != core.ConditionTrue {
			return fmt.Errorf("%s says: %s", name, condition.Message)
		}
		if since.IsZero() {
			return nil
		}
		lease, err := a.client.CoordinationV1().Leases(core.NamespaceNodeLease).Get(ctx, name, meta.GetOptions{})
		if err != nil {
			return err
		}
		if lease.Spec.RenewTime == nil || !lease.Spec.RenewTime.After(since) {
			return fmt.Errorf("%s has given no sign of life since its start", name)
		}
		return nil
	}
}

// nodes gives each node's word on being Ready: True, False or Unknown.
func (a *api) nodes(ctx context.Context) (map[string]string, error) {
	list, err := a.client.CoreV1().Nodes().List(ctx, meta.ListOptions{})
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, found := range list.Items {
		states[found.Name] = string(readiness(&found).Status)
	}
	return states, nil
}

func readiness(node *core.Node) core.NodeCondition {
	for _, condition := range node.Status.Conditions {
		if condition.Type == core.NodeReady {
			return condition
		}
	}
	return core.NodeCondition{Status: core.ConditionUnknown, Message: "it has not reported yet"}
}

func (a *api) deploymentAvailable(namespace, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		found, err := a.client.AppsV1().Deployments(namespace).Get(ctx, name, meta.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range found.Status.Conditions {
			if condition.Type == apps.DeploymentAvailable && condition.Status == core.ConditionTrue && found.Status.AvailableReplicas == found.Status.Replicas {
				return nil
			}
		}
		return fmt.Errorf("%d of %d pods of %s are available", found.Status.AvailableReplicas, found.Status.Replicas, name)
	}
}
