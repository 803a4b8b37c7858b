// Package mount makes and finds mounts. Nothing here touches a mount point outside the folder it is given.
package mount

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// Bind shows source at target. The mount is made a peer group of its own: what is mounted below it later appears once, and the kubelet,
// which wants shared propagation, has it.
func Bind(source, target string) error {
	for _, folder := range []string{source, target} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("cannot make the folder %s: %w", folder, err)
		}
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot mount %s at %s (are you root?): %w", source, target, err)
	}
	for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", target, "", propagation, ""); err != nil {
			return fmt.Errorf("cannot set the propagation of %s: %w", target, err)
		}
	}
	return nil
}

// Below lists the mount points at and below a folder, the deepest first.
func Below(folder string) ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot list the mounts: %w", err)
	}
	defer func() { _ = file.Close() }()
	var points []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20) // an overlay's line names all its layers
	for lines.Scan() {
		if point, ok := parse(lines.Text()); ok && within(point, folder) {
			points = append(points, point)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot list the mounts: %w", err)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(points)))
	return points, nil
}

// Release unmounts all that is mounted at and below a folder. A mount that is in use vanishes once its last user has gone.
func Release(folder string) error {
	points, err := Below(folder)
	if err != nil {
		return err
	}
	for _, point := range points {
		if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			return fmt.Errorf("cannot unmount %s: %w", point, err)
		}
	}
	return nil
}

// parse takes the mount point out of a line of mountinfo: the fifth field, with octal escapes.
func parse(line string) (string, bool) {
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return "", false
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4]), true
}

func within(path, folder string) bool {
	folder = strings.TrimSuffix(folder, "/")
	return path == folder || strings.HasPrefix(path, folder+"/")
}
