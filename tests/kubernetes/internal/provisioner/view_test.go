package provisioner

import (
	"testing"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func view() View {
	later, yes := storage.VolumeBindingWaitForFirstConsumer, true
	return View{
		Folder: "/volumes",
		Classes: map[string]*storage.StorageClass{
			"disk":    {ObjectMeta: meta.ObjectMeta{Name: "disk"}, Provisioner: Name, AllowVolumeExpansion: &yes},
			"zonal":   {ObjectMeta: meta.ObjectMeta{Name: "zonal"}, Provisioner: Name, VolumeBindingMode: &later},
			"foreign": {ObjectMeta: meta.ObjectMeta{Name: "foreign"}, Provisioner: "example.local/other"},
		},
		Nodes:   map[string]*core.Node{"node2": {ObjectMeta: meta.ObjectMeta{Labels: map[string]string{core.LabelTopologyZone: "b"}}}},
		Volumes: map[string]*core.PersistentVolume{},
	}
}

func claim(class, size string) *core.PersistentVolumeClaim {
	return &core.PersistentVolumeClaim{
		ObjectMeta: meta.ObjectMeta{Name: "data", Namespace: "ns", UID: "u", Annotations: map[string]string{}},
		Spec: core.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			Resources:        core.VolumeResourceRequirements{Requests: core.ResourceList{core.ResourceStorage: resource.MustParse(size)}},
		},
	}
}

func TestADiskIsForAnyNode(t *testing.T) {
	volume := view().VolumeFor(claim("disk", "1Gi"))
	if volume == nil || volume.Spec.Local.Path != "/volumes/pvc-u" || volume.Spec.ClaimRef.UID != "u" {
		t.Fatalf("got %+v", volume)
	}
	if got := volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]; got.Operator != core.NodeSelectorOpExists {
		t.Errorf("the disk is bound to %v", got)
	}
}

func TestAZonalVolumeWaitsForItsPod(t *testing.T) {
	v, c := view(), claim("zonal", "1Gi")
	if volume := v.VolumeFor(c); volume != nil {
		t.Fatal("a volume was made before its pod was placed")
	}
	c.Annotations[selectedNodeAnnotation] = "node2"
	volume := v.VolumeFor(c)
	if volume == nil {
		t.Fatal("no volume was made")
	}
	if got := volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]; got.Key != core.LabelTopologyZone || got.Values[0] != "b" {
		t.Errorf("the volume is in %v", got)
	}
}

func TestClaimsThatGetNothing(t *testing.T) {
	served, made := claim("disk", "1Gi"), view()
	served.Spec.VolumeName = "pvc-u"
	made.Volumes["pvc-u"] = &core.PersistentVolume{}
	unnamed := claim("disk", "1Gi")
	unnamed.Spec.StorageClassName = nil
	for name, volume := range map[string]*core.PersistentVolume{
		"bound":   view().VolumeFor(served),
		"made":    made.VolumeFor(claim("disk", "1Gi")),
		"foreign": view().VolumeFor(claim("foreign", "1Gi")),
		"unknown": view().VolumeFor(claim("unknown", "1Gi")),
		"unnamed": view().VolumeFor(unnamed),
	} {
		if volume != nil {
			t.Errorf("a %s claim got a volume", name)
		}
	}
}

func TestGrowth(t *testing.T) {
	c := claim("disk", "2Gi")
	if _, grows := view().Growth(c); grows {
		t.Error("a claim grows before it is bound")
	}
	c.Spec.VolumeName = "pvc-u"
	c.Status.Capacity = core.ResourceList{core.ResourceStorage: resource.MustParse("1Gi")}
	if size, grows := view().Growth(c); !grows || size.String() != "2Gi" {
		t.Errorf("Growth gave %v, %v", size, grows)
	}
	c.Status.Capacity[core.ResourceStorage] = resource.MustParse("2048Mi")
	if _, grows := view().Growth(c); grows {
		t.Error("a claim grows to the size that it has")
	}
}

func TestOnlyOurReleasedVolumesAreRemoved(t *testing.T) {
	volume := view().VolumeFor(claim("disk", "1Gi"))
	if Reclaimable(volume, "/volumes") {
		t.Error("a volume in use is reclaimable")
	}
	volume.Status.Phase = core.VolumeReleased
	if !Reclaimable(volume, "/volumes") {
		t.Error("a released volume is not reclaimable")
	}
	elsewhere := volume.DeepCopy()
	elsewhere.Spec.Local.Path = "/etc"
	retained := volume.DeepCopy()
	retained.Spec.PersistentVolumeReclaimPolicy = core.PersistentVolumeReclaimRetain
	foreign := volume.DeepCopy()
	foreign.Annotations = nil
	for name, volume := range map[string]*core.PersistentVolume{"elsewhere": elsewhere, "retained": retained, "foreign": foreign} {
		if Reclaimable(volume, "/volumes") {
			t.Errorf("the volume %s is reclaimable", name)
		}
	}
}
