package device

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// What a system was started from is refused though it is in nobody's use, wherever on
// the disk that is, and whatever it is on; any other disk is not.
func TestStartedFrom(t *testing.T) {
	need.Root(t)
	need.Programs(t, "cryptsetup", "vgcreate", "xorriso")
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, make([]byte, 64*mib), 0o600))
		return path
	}
	const other = "76543210-89ab-8def-8123-456789abcdef"
	stage := func(device string, steps ...deployment.Step) deployment.Cmdline {
		return deployment.Cmdline{Stage: deployment.Location{Device: device, Path: "/gitboot"}, Assembly: deployment.NewAssembly(steps...)}
	}
	written := file("written")
	d := open(t, written)
	must(t, d.Write(t.Context(), source(t).Disk, nil))

	encrypted := file("encrypted")
	key := filepath.Join(dir, "key")
	must(t, os.WriteFile(key, []byte("secret"), 0o600))
	run(t, "cryptsetup", "luksFormat", "-q", "--type", "luks1", "--iter-time", "1", "--uuid", uuid, "--key-file", key, encrypted)

	group := file("group")
	g, err := lab.NewVolumeGroup(t.Context(), "started", nil, lab.Place{Path: group})
	must(t, err)
	t.Cleanup(func() { must(t, g.Close()) })
	id, err := g.LVM(t.Context(), "vgs", "--noheadings", "-o", "vg_uuid", "started")
	must(t, err)
	id = strings.ReplaceAll(strings.TrimSpace(id), "-", "")

	medium := filepath.Join(dir, "medium")
	run(t, "xorriso", "-as", "mkisofs", "-quiet", "-o", medium, "--modification-date=2026010203040500", key)

	for what, c := range map[string]struct {
		path    string
		cmdline deployment.Cmdline
		where   string
	}{
		"a partition":           {written, stage("UUID=" + strings.ToUpper(uuid)), "partition 1"},
		"a medium":              {medium, stage("UUID=2026-01-02-03-04-05-00"), "the whole disk"},
		"an encrypted disk":     {encrypted, stage("UUID="+other, deployment.Step{Kind: deployment.AssembleLUKS, ID: uuid}), "the whole disk"},
		"a volume group":        {group, stage("UUID="+other, deployment.Step{Kind: deployment.AssembleLVM, ID: id, Volume: id}), "the whole disk"},
		"another partition":     {written, stage("UUID=" + other), ""},
		"another encrypted one": {encrypted, stage("UUID="+uuid, deployment.Step{Kind: deployment.AssembleLUKS, ID: other}), ""},
		"another group":         {group, stage("UUID="+other, deployment.Step{Kind: deployment.AssembleLVM, ID: strings.Repeat("0", 32), Volume: id}), ""},
		"no array":              {group, stage("UUID="+uuid, deployment.Step{Kind: deployment.AssembleRAID, ID: uuid}), ""},
		"no process 1 of ours":  {written, deployment.Cmdline{}, ""},
	} {
		d := open(t, c.path)
		switch err := d.starts(c.cmdline); {
		case c.where == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.where != "" && (err == nil || !strings.Contains(err.Error(), c.where+" has its stage; ")):
			t.Errorf("%s is not refused: %v", what, err)
		}
	}
}
