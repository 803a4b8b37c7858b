// Package provisioner makes, grows and removes persistent volumes, as the storage driver of a real cluster does.
//
// Its volumes are of the type `local`, for which the kubelet applies fsGroup: a pod that is not root can write to them. (To a hostPath
// volume it could not.) All nodes share the machine's disk, so a volume that any node may mount plays a network disk.
package provisioner

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// Provisioner acts on one cluster.
type Provisioner struct {
	client kubernetes.Interface
	folder string // holds a folder for each volume
}

// Run works until the context ends.
func Run(ctx context.Context, kubeconfig, folder string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("cannot read the kubeconfig %s: %w", kubeconfig, err)
	}
	config.QPS, config.Burst = 100, 200 // the default would make the volumes of a big StatefulSet wait for each other
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("cannot make a client for %s: %w", kubeconfig, err)
	}
	return (&Provisioner{client: client, folder: folder}).run(ctx)
}

// run looks at everything again whenever anything changes. The cluster is small, and so no change can be missed or be done twice.
func (p *Provisioner) run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(p.client, time.Minute)
	claims := factory.Core().V1().PersistentVolumeClaims()
	volumes := factory.Core().V1().PersistentVolumes()
	nodes := factory.Core().V1().Nodes()
	classes := factory.Storage().V1().StorageClasses()

	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default: // one look is due already, and will see this change too
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer(), nodes.Informer(), classes.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("cannot watch the cluster: %w", err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		view := View{Folder: p.folder, Classes: map[string]*storage.StorageClass{}, Nodes: map[string]*core.Node{}, Volumes: map[string]*core.PersistentVolume{}}
		// Listing from a cache does not fail.
		everyClaim, _ := claims.Lister().List(labels.Everything())
		everyVolume, _ := volumes.Lister().List(labels.Everything())
		everyNode, _ := nodes.Lister().List(labels.Everything())
		everyClass, _ := classes.Lister().List(labels.Everything())
		for _, class := range everyClass {
			view.Classes[class.Name] = class
		}
		for _, node := range everyNode {
			view.Nodes[node.Name] = node
		}
		for _, volume := range everyVolume {
			view.Volumes[volume.Name] = volume
		}
		failed := false
		for _, claim := range everyClaim {
			failed = !logged(p.serve(ctx, view, claim)) || failed
		}
		for _, volume := range everyVolume {
			failed = !logged(p.reclaim(ctx, volume)) || failed
		}
		if failed {
			time.AfterFunc(time.Second, notify)
		}
	}
}

// serve gives a claim its volume, or the size that it asks for by now.
func (p *Provisioner) serve(ctx context.Context, view View, claim *core.PersistentVolumeClaim) error {
	if volume := view.VolumeFor(claim); volume != nil {
		if err := os.MkdirAll(volume.Spec.Local.Path, 0o755); err != nil {
			return fmt.Errorf("cannot make the folder of %s: %w", volume.Name, err)
		}
		_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume, meta.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil // the cache lags behind
		}
		if err == nil {
			log.Printf("made %s for %s/%s", volume.Name, claim.Namespace, claim.Name)
		}
		return err
	}
	if size, grows := view.Growth(claim); grows {
		patch := fmt.Appendf(nil, `{"spec":{"capacity":{"storage":%q}}}`, size.String())
		if _, err := p.client.CoreV1().PersistentVolumes().Patch(ctx, claim.Spec.VolumeName, types.MergePatchType, patch, meta.PatchOptions{}); err != nil {
			return err
		}
		patch = fmt.Appendf(nil, `{"status":{"capacity":{"storage":%q},"conditions":[]}}`, size.String())
		if _, err := p.client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, meta.PatchOptions{}, "status"); err != nil {
			return err
		}
		log.Printf("grew %s of %s/%s to %s", claim.Spec.VolumeName, claim.Namespace, claim.Name, size.String())
	}
	return nil
}

// reclaim removes a released volume with its data, if that is its policy.
func (p *Provisioner) reclaim(ctx context.Context, volume *core.PersistentVolume) error {
	if !Reclaimable(volume, p.folder) {
		return nil
	}
	if err := os.RemoveAll(volume.Spec.Local.Path); err != nil {
		return fmt.Errorf("cannot remove the data of %s: %w", volume.Name, err)
	}
	err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{Preconditions: &meta.Preconditions{UID: &volume.UID}})
	if err == nil {
		log.Printf("removed %s with its data", volume.Name)
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func logged(err error) bool {
	if err != nil {
		log.Print(err)
	}
	return err == nil
}
