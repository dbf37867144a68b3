package doctor

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/qemu"
)

func checkRights(context.Context, *visit) []Finding {
	if uid := os.Geteuid(); uid != 0 {
		return warn(fmt.Sprintf("this is user %d, who may not look at everything", uid), "run `sudo gitboot doctor`")
	}
	return ok("this is root")
}

func checkSettings(_ context.Context, v *visit) []Finding {
	if v.Settings != nil {
		return fail(v.Settings.Error(), "correct "+v.File+", or the option; docs/agent.md explains each key")
	}
	if _, err := os.Stat(v.File); err != nil {
		return ok("there is no %s, which need not be; machine %s by %s", v.File, v.Config.Machine, v.Config.MachineFrom)
	}
	return ok("%s is valid; machine %s by %s", v.File, v.Config.Machine, v.Config.MachineFrom)
}

// checkCredentials looks at what the settings name. That another user could
// replace a file is wrong of any, that another could read it of secrets.
func checkCredentials(_ context.Context, v *visit) (out []Finding) {
	for _, f := range v.Named {
		for _, finding := range checkNamed(f) {
			finding.Subject = f.Key
			out = append(out, finding)
		}
	}
	switch {
	case v.Settings != nil:
		return skip("the settings are not in order")
	case len(out) == 0 && len(v.Named) == 0:
		return ok("the settings name no files")
	case len(out) == 0:
		return ok("the %d files that the settings name are there, and secrets are root's alone", len(v.Named))
	}
	return out
}

func checkNamed(f NamedFile) []Finding {
	info, err := os.Stat(f.Path)
	if err != nil {
		return fail(err.Error(), "put the file there, or take the key out of the settings")
	}
	if err := owned.Check(f.Path); err != nil {
		return fail(err.Error(), "")
	}
	if mode := info.Mode().Perm(); f.Secret && mode&0o077 != 0 {
		return fail(fmt.Sprintf("%s holds a secret, and others than its owner can read it (mode %04o)", f.Path, mode), "run `chmod 600 "+f.Path+"`, and renew the secret if others have an account here")
	}
	return nil
}

// tools are the programs that every machine needs, and how they tell their version.
var tools = []struct{ name, packages string }{
	{"tar2sqfs", "squashfs-tools-ng"},
	{"blkid", "util-linux"},
}

func checkPrograms(ctx context.Context, v *visit) []Finding {
	var there []string
	for _, tool := range tools {
		path, err := program.Find(tool.name)
		if err != nil {
			return fail(tool.name+" is not installed", "install the package "+tool.packages)
		}
		there = append(there, tool.name+" "+version(ctx, path))
	}
	if v.Program != nil {
		return fail(v.Program.Error(), "install gitboot anew")
	}
	return ok("%s, gitboot-init", strings.Join(there, ", "))
}

// checkBootTest asks whether what is new can be booted in a virtual machine, where
// that is declared.
func checkBootTest(ctx context.Context, v *visit) []Finding {
	w, err := v.wants()
	if err != nil || w.Wants == nil {
		return skip("what is declared is not known")
	}
	if w.Wants.BootTest == nil {
		return ok("none is declared")
	}
	if err := qemu.Installed(""); err != nil {
		return fail(err.Error(), "install what is missing, or declare boot_test = \"off\": nothing new is published until then")
	}
	if unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil {
		return warn("there is no /dev/kvm: boot tests are emulated in software, which takes about ten times as long", "enable virtualisation in the firmware, or have another machine build with test = \"boot\"")
	}
	return ok("QEMU is there, and /dev/kvm")
}

// version is the first number of what a program says of itself.
func version(ctx context.Context, path string) string {
	out, err := program.Command(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return "of an unknown version"
	}
	for word := range strings.FieldsSeq(string(out)) {
		if word[0] >= '0' && word[0] <= '9' {
			return strings.TrimRight(word, ",;:")
		}
	}
	return "of an unknown version"
}
