package spec

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/schedule"
	"github.com/gitboot/gitboot/spec/partition"
)

// Wants is all that one machine wants: what Resolve makes of a fleet. It
// shares nothing with the fleet but the content of files, which nobody may
// write to.
type Wants struct {
	Machine string
	// Undeclared says that no such machine is declared: it is an image's name.
	Undeclared bool `json:",omitempty"`
	// MachineID is 32 hex digits, or "" if the config repo leaves it open.
	MachineID string
	// Arch is the machine's architecture, "" for that of the computer which stages it.
	Arch string `json:",omitempty"`
	Boot Boot
	// Images are the machine's menu entries in order; the first is the default.
	Images []Image
	// Builds are the images that this machine builds by declaration, whether
	// it boots them or not, sorted by name.
	Builds []Image
	// Signs are the machines for which this one signs what they boot, sorted.
	Signs []string `json:",omitempty"`
	// Approve says what has to approve of a revision before its entries are
	// published; nothing if it is empty.
	Approve Approve `json:",omitzero"`
	// Windows are when menu entries may change, Reboots when the machine may be
	// restarted; none = at any time.
	Windows []Window `json:",omitempty"`
	Reboots []Window `json:",omitempty"`
	// Recovery is what the recovery entry is made of, nil if there is to be none.
	Recovery *Recovery `json:",omitempty"`
	// BootTest says in what virtual machine new deployments boot before they are
	// published, nil if they do not.
	BootTest *BootTest `json:",omitempty"`
	// Disk is how the machine's disk is divided, nil if nothing is said of it.
	Disk *layout.Disk `json:",omitempty"`
}

// A BootTest is a virtual machine.
type BootTest struct {
	// Network is "none", "isolated" or "outside".
	Network string
	// Memory is in bytes, 0 for the usual.
	Memory int64 `json:",omitempty"`
}

// Key tells one from another.
func (b BootTest) Key() string { return b.Network + " " + strconv.FormatInt(b.Memory, 10) }

func bootTest(d *bootTestDecl) *BootTest {
	if d == nil || d.off {
		return nil
	}
	return &BootTest{Network: cmp.Or(text(d.Network), "none"), Memory: size(d.Memory)}
}

// BootTests are the machines of these that boot what is new in a virtual machine
// first.
func (f *Fleet) BootTests(machines []string) (names []string) {
	for _, name := range machines {
		decl := f.machines[name]
		if decl == nil {
			continue
		}
		declared := last(f, f.profilesOf(decl.Profiles), decl, func(m *machineSettings) *bootTestDecl { return m.BootTest })
		if bootTest(declared) != nil {
			names = append(names, name)
		}
	}
	return names
}

// Recovery is a boot entry that needs nothing but its kernel and initramfs.
type Recovery struct {
	// SSHKeys are lines of authorized_keys.
	SSHKeys []string
	// Address is with its prefix, "" by DHCP. The others are for it alone.
	Address, Gateway, Interface string
	Nameservers                 []string
	// Console are the kernel arguments that say where consoles are.
	Console []string
}

// unlockArgs is the kernel argument that says how encrypted disks are opened, none if
// nothing is declared.
func unlockArgs(r *resolver) []string {
	u, err := partition.UnlockOf(r.merged.Unlock)
	if err != nil {
		r.Add(r.decl.where, "", "unlock of machine "+r.name+" has "+err.Error(), `name the ways as they are to be tried, such as ways = ["tpm2", "keyfile", "passphrase"], and give keyfile where it is among them`)
	}
	if text := u.String(); text != "" {
		return []string{deployment.ParamUnlock + "=" + text}
	}
	return nil
}

// recovery is the machine's, with the consoles of its first image, and with how that opens
// encrypted disks.
func (r *resolver) recovery(images []Image) *Recovery {
	d := r.merged.Recovery
	if d == nil {
		return nil
	}
	w := &Recovery{
		SSHKeys: slices.Clone(d.SSHKeys), Address: text(d.Address), Gateway: text(d.Gateway), Interface: text(d.Interface), Nameservers: slices.Clone(d.Nameservers),
	}
	wrong := func(key, value, what string) {
		r.Add(r.decl.where, value, "recovery."+key+" of machine "+r.name+" "+what, "give recovery.address, here or in the machine's profiles, or leave it out")
	}
	address, err := netip.ParsePrefix(w.Address)
	gateway, _ := netip.ParseAddr(w.Gateway)
	switch {
	case err == nil && w.Gateway != "" && !address.Contains(gateway):
		r.Add(r.decl.where, w.Gateway, "recovery.gateway of machine "+r.name+" is not in the network of "+w.Address, "give one that is")
	case err == nil:
	case w.Gateway != "":
		wrong("gateway", w.Gateway, "belongs to an address")
	case w.Interface != "":
		wrong("interface", w.Interface, "belongs to an address")
	case len(w.Nameservers) > 0:
		wrong("nameservers", strings.Join(w.Nameservers, " "), "belong to an address")
	}
	if len(images) > 0 {
		for _, arg := range images[0].KernelArgs {
			if strings.HasPrefix(arg, "console=") || strings.HasPrefix(arg, deployment.ParamUnlock+"=") {
				w.Console = append(w.Console, arg)
			}
		}
	}
	return w
}

// disk is the machine's, checked as a whole.
func (r *resolver) disk() *layout.Disk {
	if r.merged.Disk == nil {
		return nil
	}
	var declared []*partition.DiskDecl
	for _, layer := range append([]*machineSettings{r.defaults.Machine}, r.layers...) {
		if layer != nil {
			declared = append(declared, layer.Disk)
		}
	}
	return partition.Of(&r.List, text(r.merged.Arch), r.merged.Disk, declared...)
}

// Approve says what has to approve of a revision. One of what is given does.
type Approve struct {
	// Manual is that somebody says so on the machine; that always does.
	Manual bool
	// After is how long it has waited, 0 if that does not do.
	After time.Duration
	// Tag is what the names of signed tags match that approve, "" if none does.
	Tag string
}

// A Window is a time in which something may happen.
type Window struct {
	Cron   string
	Length time.Duration
	// TimeZone is that of Cron, "" for the machine's own, or what Cron names.
	TimeZone string
}

// Windows are those that were declared, as they open for a machine of that name, in
// its time zone.
func Windows(declared []Window, machine string, local *time.Location) (out schedule.Windows) {
	for _, w := range declared {
		if one, err := schedule.ParseWindow(w.Cron, w.Length, w.TimeZone, local); err == nil { // what is none was refused
			out = append(out, one.Spread(machine))
		}
	}
	return out
}

// Boot says how the machine's boot menu is treated.
type Boot struct {
	// Mode is "menu" (entries are merely there) or "managed" (gitboot chooses
	// the default and counts tries).
	Mode string
	// Timeout is the menu's, in seconds; nil leaves the distribution's alone.
	Timeout *int
	// Tries is how often, in mode "managed", what is new boots by itself before
	// the machine falls back if it has not proved good.
	Tries int
	// Loader is "grub", "systemd-boot", "extlinux" or "rpi", "" for the one that is there.
	Loader string `json:",omitempty"`
	// SecureBoot has each entry be one signed program.
	SecureBoot bool `json:",omitempty"`
	// SignedBy is the machine that signs them, where this one has the certificate alone;
	// "" if none is declared to.
	SignedBy string `json:",omitempty"`
	// SafeGraphics adds an entry without graphics drivers.
	SafeGraphics bool `json:",omitempty"`
	// OnBad is "revert" where commits that brought what is bad are taken back on a
	// branch of their own, else "".
	OnBad string `json:",omitempty"`
}

// readBoot reads how the boot menu is treated.
func readBoot(r *resolver, to *Boot) {
	b := r.merged.Boot
	if b == nil {
		return
	}
	to.Mode = cmp.Or(text(b.Mode), to.Mode)
	to.Timeout = copyOf(b.Timeout)
	to.Loader, to.SecureBoot = text(b.Loader), b.Secure != nil && *b.Secure
	if to.SecureBoot && to.Loader != "systemd-boot" {
		r.Add(r.decl.where, "secure_boot", "boot.secure_boot of machine "+r.name+" is for systemd-boot, which starts one signed program for each entry", `write loader = "systemd-boot" beside it, or leave it out: GRUB's entries are as safe as the distribution's shim makes them`)
	}
	if to.SafeGraphics = b.Safe != nil && *b.Safe; to.SafeGraphics && (to.SecureBoot || to.Loader == "rpi") {
		r.Add(r.decl.where, "safe_graphics", "boot.safe_graphics of machine "+r.name+" adds an entry to a menu of plain ones, which there is none with "+safeless(to),
			`leave it out, and declare another image of the same reference with kernel_args = ["nomodeset"]`)
	}
	if to.SignedBy = text(b.Signer); to.SignedBy != "" && !to.SecureBoot {
		r.Add(r.decl.where, to.SignedBy, "boot.signed_by of machine "+r.name+" is for what boots signed", "write secure_boot = true beside it, or leave it out")
	}
	if b.Tries != nil {
		to.Tries = *b.Tries
	}
	readFirmware(r, to)
	if to.OnBad = text(b.OnBad); to.OnBad != "" && to.Mode != "managed" {
		r.Add(r.decl.where, to.OnBad, "boot.on_bad of machine "+r.name+" is for what has proved bad, and in mode \""+to.Mode+"\" nothing is tried", `write mode = "managed" beside it, or leave it out`)
	}
}

// An Image is one menu entry. Exactly one of Pull, Archive and Build is set.
type Image struct {
	Name string
	// Tag is the pull reference's tag or constraint, else "latest". Hooks' globs see
	// "Name:Tag".
	Tag     string
	Pull    *Pull
	Archive *Archive
	Build   *Build
	// LayerSize is how much a layer of it, or of its base, may hold, in bytes;
	// 0 = what the agent allows.
	LayerSize int64 `json:",omitempty"`

	KernelArgs []string
	// Kernel is a glob over the kernel's path or version; "" = the highest
	// version in the image.
	Kernel string
	// Keep is how many generations stay on the stage, at least 1.
	Keep int
	// TmpfsSize is the size of the writable layer in the words of tmpfs(5)
	// ("50%", "2G"); "" = the kernel's default, half of the memory.
	TmpfsSize string
	CopyToRAM bool
	// Upper is where on a disk the writable layer lies, nil for memory.
	Upper *deployment.Upper `json:",omitempty"`
	// Verity is "report" or "enforce" where layers are verified while they are
	// read, else "".
	Verity string `json:",omitempty"`
	// Health says when a boot counts as good, nil if nothing is declared.
	Health *deployment.Health `json:",omitempty"`
	// Hooks are those that match this image, in the order they apply in:
	// templates rendered, files read, built-ins complete.
	Hooks []kind.Hook
}

// A Pull is an image in a registry.
type Pull struct {
	Ref     string
	Mirrors []string
	// TrustMirrorTags lets the mirrors say what a tag means.
	TrustMirrorTags bool `json:",omitempty"`
	// Insecure allows plain HTTP and unverified certificates.
	Insecure bool
	// CredentialsFile is an absolute path on the machine, or "".
	CredentialsFile string
	// CosignKey is a file of public keys, a path in the config repo or an absolute
	// one on the machine: one of them must have signed the image. "" is none.
	CosignKey string `json:",omitempty"`
	// CosignRepository is what signatures must name, "" for the image's own.
	CosignRepository string `json:",omitempty"`
	// ObjectKeys are files as CosignKey: what is signed by a key of one of them, or of
	// CosignKey, counts as made of the image's layers. Objects is what becomes of it, one
	// of the words below.
	ObjectKeys []string `json:",omitempty"`
	Objects    string   `json:",omitempty"`
	// Platform is os/architecture[/variant], or "" for the machine's own.
	Platform string
	// Update is the cron schedule of looking for a new digest, or "" to keep
	// the one that the reference meant when it was declared.
	Update string
}

// What becomes of objects that others have made; "" is to use them.
const (
	MakeObjects    = "make"
	RebuildObjects = "rebuild"
)

// An Archive is an image in a file: Path or URL is set.
type Archive struct {
	// Path is relative to the config repo if InRepo, else absolute.
	Path   string
	InRepo bool
	URL    string
	// SHA256 is 64 hex digits; always set with URL.
	SHA256 string
	// Strip is how many leading folders are taken off the names in a tar of a
	// root file system.
	Strip int `json:",omitempty"`
	// Platform is os/architecture, or "" for the computer's own.
	Platform string `json:",omitempty"`
}

// A Build says how an image is made.
type Build struct {
	// From is the declared text. Exactly one of Scratch, Base, FromRef and
	// FromArchive says what it means.
	From        string
	Scratch     bool
	Base        *Image // from = "image:NAME"; its hooks are not resolved
	FromRef     string
	FromArchive *Archive
	// Bootstrap is the command that writes a root file system tar to its
	// standard output, run on the building host.
	Bootstrap []string

	// Paths are relative to the config repo.
	Containerfiles []string
	Recipe         string
	Context        string

	Run      []string
	Copy     []Copy
	Args     map[string]string
	Labels   map[string]string
	Secrets  map[string]string // id → absolute path on the building machine
	Platform string
	Engine   string // "" = the agent's choice
	Schedule string // cron, "" = never by the clock
	// Pulled says how the registries of FromRef and of other images that steps
	// name are reached; its Ref is empty.
	Pulled Pull
	// Push is where the image is published, nil if nowhere.
	Push    *Push
	Timeout time.Duration // 0 = the agent's choice
	NoCache bool
	// Test is "boot" where what is built has to come up in a virtual machine.
	Test string `json:",omitempty"`
	// Relayer is "packages" where what is built gets layers by its packages.
	Relayer string `json:",omitempty"`
	// RootfsFixes puts right what building inside a container leaves behind.
	RootfsFixes bool
}

// A Push is where a built image is published.
type Push struct {
	Ref string // with a tag
	// Insecure allows plain HTTP and unverified certificates.
	Insecure bool
	// CredentialsFile is an absolute path on the machine, or "".
	CredentialsFile string
	Compression     string // "zstd" or "gzip"
	// Deltas is from how many of the images pushed before patches are published.
	Deltas int `json:",omitempty"`
}

// A Copy brings From, relative to the config repo, to To in the image.
type Copy struct{ From, To string }
