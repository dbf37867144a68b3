package deployment

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// prefix is what all of gitboot's kernel parameters begin with.
const prefix = "gitboot."

// Kernel parameters that process 1 reads. All others are left to the kernel
// and to the image's init.
const (
	// ParamStage names the stage: <device>:<path>, see Location.
	ParamStage = "gitboot.stage"
	// ParamAssemble says what the stage's file system is on, see Assembly; without it
	// that is a plain disk or partition.
	ParamAssemble = "gitboot.assemble"
	// ParamDeployment is the id of the deployment to boot.
	ParamDeployment = "gitboot.deployment"
	// ParamTrying, set to 1, says that the deployment is not known to be good:
	// a failure reboots instead of opening a shell. Set to TryingIfCounted, it is so if
	// the boot loader's block, the names of its entries, counts boots of ParamEntry: of
	// a command line that is signed, and stays as it is when the deployment proves good.
	ParamTrying = "gitboot.trying"
	// ParamEntry is the id of the menu's entry that was booted.
	ParamEntry = "gitboot.entry"
	// ParamFallback is the id of the entry that is to boot once if what was booted is
	// found damaged before it can be entered.
	ParamFallback = "gitboot.fallback"
	// ParamBlock says where the boot loader keeps what it counts, if that is not
	// the file BlockFile of the stage: <device>:<path>, see Location.
	ParamBlock = "gitboot.block"
	// ParamWait limits, in seconds, how long to wait for the stage's device.
	ParamWait = "gitboot.wait"
	// ParamUnlock says how an encrypted disk below the stage is opened, see Unlock.
	ParamUnlock = "gitboot.unlock"
	// ParamShell, set to 1, opens a shell before the image is entered.
	ParamShell = "gitboot.shell"
	// ParamRAM, set to 1, copies the layers to memory for this boot.
	ParamRAM = "gitboot.ram"
	// ParamRecovery, set to 1, enters no image: it lets the machine's admins in.
	ParamRecovery = "gitboot.recovery"
	// ParamInstall, of a recovery entry on an installation medium, has the machine
	// installed: InstallAsk, InstallMedium, InstallCloud, or the URL of a file that says
	// how.
	ParamInstall = "gitboot.install"
	// ParamLive, set to 1, says that the stage is a medium's, to which nothing is written.
	ParamLive = "gitboot.live"
	// ParamMachine tells the agent which machine this is.
	ParamMachine = "gitboot.machine"
	// ParamVia says what started the kernel, if that was no boot loader: ViaKexec.
	ParamVia = "gitboot.via"
)

// TryingIfCounted has process 1 ask the boot loader's block whether it is on trial.
const TryingIfCounted = "counted"

// ViaKexec is that of a kernel which the one before it has started (kexec(8)).
const ViaKexec = "kexec"

// What ParamInstall may be, besides a URL: somebody at the console is asked, or a file
// says how, on the medium, or as what a cloud has for its machines.
const (
	InstallAsk    = "ask"
	InstallMedium = "medium"
	InstallCloud  = "cloud"
)

// StageMount is where the running system finds the stage that it was booted
// from, mounted read-only. It is not there after a copy to memory.
const StageMount = "/run/initramfs/gitboot"

// ConfirmFile confirms the running boot by being there, root's.
const ConfirmFile = "/run/gitboot/confirm"

// BlockFile is where the boot loader keeps what it counts, below the stage's
// directory.
const BlockFile = "boot/gitboot.env"

// EntriesFolder is where boot entries lie on a partition that the firmware reads. As a
// block, it is a boot loader's that counts in their names (package boot/sdboot/counter).
const EntriesFolder = "loader/entries"

// Variables of the boot loader's block: the entry that boots next, once, the entry
// whose boots are counted, and the entry that was found good last.
const (
	BlockOnce   = "gitboot_once"
	BlockTrying = "gitboot_trying"
	BlockGood   = "gitboot_good"
)

// A Location is where process 1 finds the stage, or a file.
type Location struct {
	// Device is UUID=…, LABEL=…, PARTUUID=… or a path below /dev.
	Device string
	// Path is the directory's or the file's, absolute from the top of the
	// device's file system (for btrfs: of its top-level subvolume).
	Path string
}

// String returns the form that ParamStage carries.
func (l Location) String() string { return l.Device + ":" + l.Path }

// InNames reports whether this is, as a block, the folder of entries in whose names a
// boot loader counts.
func (l Location) InNames() bool { return strings.HasSuffix(l.Path, "/"+EntriesFolder) }

// ParseLocation reads the form that String writes.
func ParseLocation(s string) (Location, error) {
	dev, dir, ok := strings.Cut(s, ":/")
	l := Location{Device: dev, Path: "/" + dir}
	if !ok || !validDevice(dev) || path.Clean(l.Path) != l.Path || strings.ContainsAny(s, " \t\n\"") {
		return Location{}, fmt.Errorf("location %q is not <UUID=…|LABEL=…|PARTUUID=…|/dev/…>:/<path>", s)
	}
	return l, nil
}

func validDevice(dev string) bool {
	for _, prefix := range []string{"UUID=", "LABEL=", "PARTUUID=", "/dev/"} {
		if rest, ok := strings.CutPrefix(dev, prefix); ok && rest != "" {
			return true
		}
	}
	return false
}

// A Cmdline is what process 1 and the agent learn from the kernel command line.
type Cmdline struct {
	Stage      Location
	Deployment string
	// Assembly is what the stage's file system is on.
	Assembly Assembly
	// Machine is the name in the config repo, for the agent.
	Machine string
	// Entry is the menu's entry, "" if it is not told.
	Entry string
	// Fallback is the entry that boots once in its place if it is found damaged, "" if
	// none is to.
	Fallback string
	// Block is where the boot loader counts, zero for the stage's BlockFile.
	Block  Location
	Trying bool
	// Counted says that it is to be found out whether it is on trial, and what boots in
	// its place if it is damaged: until then it counts as on trial.
	Counted bool
	Shell   bool
	RAM     bool
	// Live is of what runs from a medium.
	Live bool
	// Recovery is a recovery entry's.
	Recovery bool
	// Install is how the machine is installed, "" if it is not to be.
	Install string
	// Via is what started the kernel, "" for a boot loader.
	Via string
	// Unlock is how encrypted disks are opened, in the form that ParseUnlock reads, ""
	// if it is not told.
	Unlock string
	// Wait is in seconds; 0 means not given.
	Wait int
}

// Args returns the parameters for a boot entry: what gitboot adds to the
// kernel arguments that the config repo declares. panic=30 makes a kernel
// that cannot go on reboot instead of hanging.
func (c Cmdline) Args() []string {
	args := []string{
		ParamStage + "=" + c.Stage.String(),
		ParamDeployment + "=" + c.Deployment,
	}
	return append(append(args, c.Optional()...), "panic=30")
}

// Optional returns those parameters that an entry may have, or not.
func (c Cmdline) Optional() (args []string) {
	if c.Assembly != "" {
		args = append(args, ParamAssemble+"="+string(c.Assembly))
	}
	if c.Machine != "" {
		args = append(args, ParamMachine+"="+c.Machine)
	}
	if c.Entry != "" {
		args = append(args, ParamEntry+"="+c.Entry)
	}
	if c.Fallback != "" {
		args = append(args, ParamFallback+"="+c.Fallback)
	}
	if c.Block != (Location{}) {
		args = append(args, ParamBlock+"="+c.Block.String())
	}
	switch {
	case c.Counted:
		args = append(args, ParamTrying+"="+TryingIfCounted)
	case c.Trying:
		args = append(args, ParamTrying+"=1")
	}
	if c.Shell {
		args = append(args, ParamShell+"=1")
	}
	if c.RAM {
		args = append(args, ParamRAM+"=1")
	}
	if c.Live {
		args = append(args, ParamLive+"=1")
	}
	if c.Recovery {
		args = append(args, ParamRecovery+"=1")
	}
	if c.Install != "" {
		args = append(args, ParamInstall+"="+c.Install)
	}
	if c.Unlock != "" {
		args = append(args, ParamUnlock+"="+c.Unlock)
	}
	if c.Wait > 0 {
		args = append(args, fmt.Sprintf("%s=%d", ParamWait, c.Wait))
	}
	if c.Via != "" {
		args = append(args, ParamVia+"="+c.Via)
	}
	return args
}

// ParseCmdline reads the text of /proc/cmdline. Words are separated by white
// space outside double quotes, as the kernel's next_arg (lib/cmdline.c) splits
// them; the last of a repeated parameter wins; what follows a bare -- belongs
// to init.
//
// What leads to the stage and names the deployment must be right. Of the other
// parameters, a value that cannot be used counts as not given: ignored says
// which, and why.
func ParseCmdline(text string) (c Cmdline, ignored []error, err error) {
	for _, word := range Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		if word == "--" {
			break
		}
		if err := c.name(key, value); err != nil {
			return Cmdline{}, nil, err
		}
		if err := c.set(key, value); err != nil {
			ignored = append(ignored, fmt.Errorf("%.200q %w", word, err))
		}
	}
	switch {
	case c.Stage == Location{}:
		return Cmdline{}, nil, fmt.Errorf("the kernel command line has no %s", ParamStage)
	case c.Deployment == "":
		return Cmdline{}, nil, fmt.Errorf("the kernel command line has no %s", ParamDeployment)
	}
	return c, ignored, nil
}

// name reads what there must be.
func (c *Cmdline) name(key, value string) (err error) {
	switch key {
	case ParamStage:
		c.Stage, err = ParseLocation(value)
	case ParamDeployment:
		if !IsHash(value) {
			return fmt.Errorf("%s=%q is not a sha256 in hex", ParamDeployment, value)
		}
		c.Deployment = value
	case ParamAssemble:
		if c.Assembly, err = ParseAssembly(value); err != nil {
			err = fmt.Errorf("%s=%.200q: %w", ParamAssemble, value, err)
		}
	}
	return err
}

// set reads what there may be.
func (c *Cmdline) set(key, value string) (err error) {
	switch key {
	case ParamMachine:
		c.Machine = value
	case ParamEntry:
		c.Entry, err = parseEntry(value)
	case ParamFallback:
		c.Fallback, err = parseEntry(value)
	case ParamBlock:
		c.Block, err = ParseLocation(value)
	case ParamTrying:
		if c.Counted = value == TryingIfCounted; c.Counted {
			c.Trying = true
			return nil
		}
		c.Trying, err = parseSwitch(value)
	case ParamShell:
		c.Shell, err = parseSwitch(value)
	case ParamRAM:
		c.RAM, err = parseSwitch(value)
	case ParamLive:
		c.Live, err = parseSwitch(value)
	case ParamRecovery:
		c.Recovery, err = parseSwitch(value)
	case ParamInstall:
		if err = CheckInstall(value); err == nil {
			c.Install = value
		}
	case ParamWait:
		c.Wait, err = parseSeconds(value)
	case ParamUnlock:
		if _, err = ParseUnlock(value); err == nil {
			c.Unlock = value
		}
	case ParamVia:
		c.Via, err = parseVia(value)
	}
	return err
}

func parseVia(s string) (string, error) {
	if s != ViaKexec {
		return "", errors.New("is not " + ViaKexec)
	}
	return s, nil
}

// CheckInstall accepts what ParamInstall may be.
func CheckInstall(s string) error {
	switch {
	case s == InstallAsk, s == InstallMedium, s == InstallCloud, strings.HasPrefix(s, "http://"), strings.HasPrefix(s, "https://"):
		return nil
	}
	return fmt.Errorf("is none of %s, %s and %s, and no URL", InstallAsk, InstallMedium, InstallCloud)
}

func parseSwitch(s string) (bool, error) {
	if s != "0" && s != "1" {
		return false, errors.New("is neither 0 nor 1")
	}
	return s == "1", nil
}

// parseEntry reads what is written into the boot loader's block later.
func parseEntry(s string) (string, error) {
	for _, c := range []byte(s) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
				return "", errors.New("is no id of a menu's entry")
			}
		}
	}
	return s, nil
}

const maxWait = 86400 // a day

func parseSeconds(s string) (int, error) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > maxWait {
			n = maxWait + 1
			break
		}
		n = n*10 + int(c-'0')
	}
	if s == "" || n > maxWait {
		return 0, errors.New("is not a number of seconds up to a day, 86400")
	}
	return n, nil
}

// Fields splits a kernel command line. Double quotes keep white space in a
// word and are removed; there is no escape character.
func Fields(text string) []string {
	var words []string
	var word strings.Builder
	started, quoted := false, false
	for _, c := range []byte(text) {
		switch {
		case c == '"':
			quoted, started = !quoted, true
		case !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0):
			if started {
				words = append(words, word.String())
				word.Reset()
			}
			started = false
		default:
			word.WriteByte(c)
			started = true
		}
	}
	if started {
		words = append(words, word.String())
	}
	return words
}
