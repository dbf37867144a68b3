package deployment

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// MaxCmdline is how long a kernel command line may be: COMMAND_LINE_SIZE of
// x86 and arm64, without its final zero.
const MaxCmdline = 2047

// The longest paths, of a stage and of what the boot loader counts in, for which
// room is kept beside what a config repo declares.
const (
	maxStagePath = 128
	maxBlockPath = 64
)

// CheckText accepts what can be shown on one line of a menu and passed on one
// line to the kernel. Its error completes "the text …".
func CheckText(s string) error {
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("is empty, not UTF-8, or has a control character such as a line end")
	}
	return nil
}

// Word returns a kernel argument as a boot loader is given it: without the one
// pair of quotes that may enclose it or its value, because GRUB puts its own
// around an argument with spaces, and a backslash before quotes and
// backslashes, which the kernel does not take away. Its error completes "the
// argument …".
func Word(arg string) (string, error) {
	if err := CheckText(arg); err != nil {
		return "", err
	}
	word := unquoted(arg)
	switch {
	case strings.ContainsAny(word, `"'\`):
		return "", errors.New("has a quote or backslash that boot loaders do not pass on unchanged; write it without")
	case word == "" || strings.HasPrefix(word, " "):
		return "", errors.New("is empty or begins with a space")
	}
	return word, nil
}

// CheckMacros refuses what U-Boot would put something else in place of, in the arguments
// that an extlinux.conf has (its common/cli_simple.c, cli_simple_process_macros).
func CheckMacros(args []string) error {
	for _, arg := range args {
		if strings.Contains(arg, "${") || strings.Contains(arg, "$(") {
			return fmt.Errorf("have %.100q, which U-Boot takes for the name of a variable; write it without ${ and $(", arg)
		}
	}
	return nil
}

// unquoted turns key="va lue" and "key=va lue" into key=va lue.
func unquoted(arg string) string {
	key, value, ok := strings.Cut(arg, "=")
	if ok && !strings.Contains(key, `"`) && enclosed(value) {
		return key + "=" + value[1:len(value)-1]
	}
	if enclosed(arg) {
		return arg[1 : len(arg)-1]
	}
	return arg
}

func enclosed(s string) bool {
	return len(s) > 1 && strings.HasPrefix(s, `"`) && strings.HasSuffix(s, `"`)
}

// Words returns kernel arguments as a boot loader is given them. It refuses
// what would make a longer command line than the kernel takes; GRUB puts the
// kernel's path before the arguments, and drops in silence what is beyond.
func Words(kernel string, args []string) ([]string, error) {
	words, total := make([]string, 0, len(args)), len(`BOOT_IMAGE="" `)+len(kernel)
	for _, arg := range args {
		word, err := Word(arg)
		if err != nil {
			return nil, fmt.Errorf("kernel argument %.100q %w", arg, err)
		}
		words = append(words, word)
		total += wordLength(word)
	}
	if total > MaxCmdline {
		return nil, fmt.Errorf("kernel arguments make a command line of %d bytes, the kernel takes %d; leave some out", total, MaxCmdline)
	}
	return words, nil
}

// Line is the command line of a kernel that is started with these, as a boot loader
// writes it.
func Line(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		if quoted[i] = word; strings.Contains(word, " ") {
			quoted[i] = `"` + word + `"`
		}
	}
	return strings.Join(quoted, " ")
}

// wordLength is what an argument takes on the command line at most.
func wordLength(word string) int { return len(word) + len(`"" `) }

// CheckArg accepts one kernel argument that a config repo may declare: Word
// takes it, the kernel takes it as one, and gitboot's own are not touched. Its
// error completes "the argument …".
func CheckArg(arg string) error {
	switch {
	case strings.Count(arg, `"`)%2 != 0:
		return errors.New("has a double quote without its pair")
	case len(Fields(arg)) > 1 || strings.TrimSpace(arg) != arg:
		return errors.New("is more than one argument")
	}
	word, err := Word(arg)
	switch {
	case err != nil:
		return err
	// The kernel's isspace (lib/ctype.c) takes this byte for Latin-1's
	// no-break space, wherever in a character it stands.
	case strings.Contains(word, "\xa0") && !strings.Contains(word, " "):
		return errors.New("has a character with the byte A0, such as à, where the kernel would cut it in two")
	case word == "--":
		return errors.New("would hide gitboot's own arguments from it")
	}
	return checkOurs(word)
}

// checkOurs accepts what is not a parameter of gitboot's, and the few that are
// for people to set.
func checkOurs(word string) error {
	key, value, _ := strings.Cut(word, "=")
	if !strings.HasPrefix(key, prefix) {
		return nil
	}
	switch key {
	case ParamWait:
		_, err := parseSeconds(value)
		return err
	case ParamUnlock:
		_, err := ParseUnlock(value)
		return err
	case ParamShell, ParamRAM:
		_, err := parseSwitch(value)
		return err
	}
	if setByGitboot(key) {
		return errors.New("is set by gitboot itself")
	}
	return fmt.Errorf("is no parameter that gitboot knows; there are %s, %s, %s and %s", ParamWait, ParamShell, ParamRAM, ParamUnlock)
}

func setByGitboot(key string) bool {
	switch key {
	case ParamStage, ParamAssemble, ParamDeployment, ParamTrying, ParamMachine, ParamEntry, ParamFallback, ParamBlock, ParamRecovery, ParamInstall, ParamVia:
		return true
	}
	return false
}

// Foreign returns args without those that would take the place of what gitboot
// sets itself: a manifest may be older than their refusal.
func Foreign(args []string) []string {
	out := make([]string, 0, len(args))
	for _, arg := range args {
		if key, _, _ := strings.Cut(unquoted(arg), "="); !setByGitboot(key) {
			out = append(out, arg)
		}
	}
	return out
}

// CheckArgs accepts the arguments of one image on one machine, each of which
// CheckArg accepts, if they leave room for what gitboot adds.
func CheckArgs(machine, image string, args []string) error {
	total, unlocks := 0, false
	for _, arg := range args {
		word := unquoted(arg)
		total += wordLength(word)
		unlocks = unlocks || strings.HasPrefix(word, ParamUnlock+"=")
	}
	room := MaxCmdline - ownLongest(machine, image, unlocks)
	if total > room {
		return fmt.Errorf("make %d bytes, and %d are left on the kernel's command line of %d", total, room, MaxCmdline)
	}
	return nil
}

// ownLongest is what gitboot's own part takes at most. Names alone make it longer.
func ownLongest(machine, image string, unlocks bool) int {
	shortest := ownShortest()
	own := shortest.plain
	if unlocks {
		own = shortest.unlocks
	}
	return own + len(machine) + len(inEntry(image)) - 2
}

// ownShortest is it for names of one letter.
var ownShortest = sync.OnceValue(func() (of struct{ plain, unlocks int }) {
	of.plain, of.unlocks = ownLength(longest("m", "i", false)), ownLength(longest("m", "i", true))
	return of
})

// inEntry is an image's name in a menu's id, where this letter is three.
func inEntry(image string) string { return strings.ReplaceAll(image, "_", "_5f") }

// ownLength is what gitboot's own part of a command line takes at most.
func ownLength(own Cmdline) int {
	total := len(`BOOT_IMAGE="" `) + len(own.Stage.Path) + len("/") + len(Object{SHA256: own.Deployment}.Path())
	for _, arg := range own.Args() {
		total += wordLength(arg)
	}
	return total
}

// longest is the longest that gitboot's own part may be. What a stage is on, its machine
// alone knows, which refuses what leaves no room for that; here there is room for LVM on
// an encrypted mirror where it is declared how to open that.
func longest(machine, image string, unlocks bool) Cmdline {
	hash := strings.Repeat("0", hashLength)
	on := func(path int) Location {
		return Location{Device: "UUID=" + hash[:36], Path: "/" + strings.Repeat("p", path-1)}
	}
	own := Cmdline{
		Stage: on(maxStagePath), Deployment: hash, Machine: machine, Trying: true,
		Entry: "gitboot-" + inEntry(image) + "-" + hash[:16], Block: on(maxBlockPath),
	}
	if unlocks {
		own.Assembly = NewAssembly(Step{AssembleRAID, hash[:36], ""}, Step{AssembleLUKS, hash[:36], ""}, Step{AssembleLVM, hash[:32], hash[:32]})
	}
	return own
}
