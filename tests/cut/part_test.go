package cut

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// part is what was recorded of a part of the machine's disk, as of a disk in image.
func (m *machine) part(t *testing.T, of lab.Part, image string) *recording {
	t.Helper()
	r := &recording{life: &life{}, site: apart, image: image, versions: m.versions}
	if _, err := lab.Run(t.Context(), "dd", "if="+m.image, "of="+image, "bs=512", "conv=sparse",
		fmt.Sprintf("skip=%d", of.Start), fmt.Sprintf("count=%d", of.Size)); err != nil {
		t.Fatal(err)
	}
	for _, e := range m.epochs {
		in := epoch{entries: e.entries}
		for _, w := range e.writes {
			if w.sector >= of.Start && w.sector < of.Start+of.Size {
				in.writes = append(in.writes, write{w.sector - of.Start, w.data})
			}
		}
		r.epochs = append(r.epochs, in)
	}
	return r
}

// blockPath is where the block lies on the EFI system partition.
const blockPath = "/EFI/gitboot/gitboot.env"

var blockArg = regexp.MustCompile(deployment.ParamBlock + `=UUID=[^:]*:`)

// countOnESP has GRUB and process 1 count on the EFI system partition. A reconcile does
// that where GRUB cannot write to /boot, if the kernel has vfat; this one may not.
func (m *machine) countOnESP(t *testing.T) {
	t.Helper()
	mnt, err := m.disk.Mount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(mnt, "boot/grub/gitboot")
	menu, err := os.ReadFile(filepath.Join(dir, "gitboot.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	id := m.serial(t)
	text := strings.ReplaceAll(string(menu), "/grub/gitboot/gitboot.env", blockPath)
	text = strings.Replace(text, `set gitboot_block="${gitboot_stage}"`, "search --no-floppy --fs-uuid --set=gitboot_block "+id, 1)
	text = blockArg.ReplaceAllString(text, deployment.ParamBlock+"=UUID="+id+":")
	if err := os.WriteFile(filepath.Join(dir, "gitboot.cfg"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	esp := fmt.Sprintf("%s@@%d", m.disk.Path, lab.ESP.Start*sectorSize)
	for _, args := range [][]string{
		{"mmd", "-i", esp, "::/EFI/gitboot"},
		{"mcopy", "-i", esp, filepath.Join(dir, "gitboot.env"), "::" + blockPath},
	} {
		if _, err := lab.Run(t.Context(), args[0], args[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	if m.versions[0], err = apart.published(filepath.Join(mnt, "boot"), "one", ""); err != nil {
		t.Fatal(err)
	}
	if err := m.disk.Unmount(); err != nil {
		t.Fatal(err)
	}
}

// serial is by what the EFI system partition is found (Microsoft's FAT specification:
// BS_VolID of FAT32).
func (m *machine) serial(t *testing.T) string {
	t.Helper()
	f, err := os.Open(m.disk.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var id [4]byte
	if _, err := f.ReadAt(id[:], lab.ESP.Start*sectorSize+67); err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint32(id[:])
	return fmt.Sprintf("%04X-%04X", n>>16, n&0xffff)
}

// counts looks at the block on the EFI system partition: whatever of its writes the
// disk has kept, our reader and GRUB find the same in it, and that is what it was or
// what it was to become.
func counts(t *testing.T, r *recording, dir string) {
	d, err := newDisk(dir, r.image)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	g, seen, left := newGRUBReader(t, site{custom: "/none"}, []string{blockPath}), map[sum]bool{}, map[string]int{}
	for i, e := range r.epochs {
		tries := 0
		states(i, 0, e, whole{}, func(s state) bool {
			if tries++; !seen[d.sum(s.change)] {
				seen[d.sum(s.change)] = true
				is, err := blockIn(t, g, d, s)
				if err != nil {
					t.Errorf("state %s: %v", s.name, err)
				}
				left[is]++
			}
			return tries < 60
		})
		d.advance(e.writes)
	}
	t.Logf("%d states tried, tries left and good by number of states: %v", len(seen), left)
	if len(left) != 3 { // before, counted, good
		t.Errorf("the block said %v", left)
	}
}

// blockIn is what a state's block says.
func blockIn(t *testing.T, g *grubReader, d *disk, s state) (string, error) {
	if err := d.become(s.change); err != nil {
		return "", err
	}
	text, err := lab.Run(t.Context(), "mtype", "-i", d.file.Name(), "::"+blockPath)
	if err != nil {
		return "", err
	}
	block, err := env.Parse([]byte(text))
	if err != nil {
		return "", err
	}
	v, err := g.look(t.Context(), d, s.change)
	if err != nil {
		return "", err
	}
	if is := sha256.Sum256([]byte(text)); v.files[blockPath] != hex.EncodeToString(is[:]) {
		return "", fmt.Errorf("GRUB reads another block: %v", v.files)
	}
	left, _ := block.Get("gitboot_left")
	if good, _ := block.Get(deployment.BlockGood); good != "" {
		return left + " good", nil
	}
	return left, nil
}
