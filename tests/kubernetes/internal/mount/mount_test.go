package mount

import "testing"

func TestParseUnescapesTheMountPoint(t *testing.T) {
	point, ok := parse(`36 35 98:0 / /mnt/a\040b rw,noatime shared:1 - ext4 /dev/root rw`)
	if !ok || point != "/mnt/a b" {
		t.Errorf("parse gave %q, %v", point, ok)
	}
	if _, ok := parse("36 35"); ok {
		t.Error("parse took a line without a mount point")
	}
}

func TestWithinComparesWholeNames(t *testing.T) {
	for path, want := range map[string]bool{"/run/kubebox": true, "/run/kubebox/n1": true, "/run/kubebox2": false, "/run": false} {
		if within(path, "/run/kubebox") != want {
			t.Errorf("within(%s) is not %v", path, want)
		}
	}
}
