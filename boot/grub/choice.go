package grub

import (
	"path"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
)

// GRUB runs a menu's default by itself when the time is up, and unsets fallback
// when a key is pressed before that (run_menu of grub-core/normal/menu.c). Set to
// one of these, which is no entry's number or id, it tells an entry that nobody
// chose from one that somebody did. In a submenu it is known if it is exported.
const (
	byItself = "gitboot"
	byOnce   = "gitboot_once"
)

// shownFor is how many seconds a menu is shown, at which a key can be pressed,
// where it would otherwise wait for ever and nothing would boot by itself.
const shownFor = 5

// functions are ours for all entries. Functions, unlike variables, are known in
// submenus, where of the variables only exported ones are. What has failed is left
// to the distribution's own default or, if it was to boot once, to what usually
// boots: GRUB itself would wait at the menu.
const functions = `
# The kernel gets a screen: under UEFI it has none unless GRUB has the drivers.
function gitboot_screen {
  if [ "${feature_all_video_module}" = y ]; then
    insmod all_video
  fi
  if [ -n "${linux_gfx_mode}" ]; then
    set gfxpayload="${linux_gfx_mode}"
  fi
}

# What nobody chose and cannot be loaded is not waited for.
function gitboot_failed {
  set gitboot_again="${fallback}"
  unset fallback
  if [ "${gitboot_again}" = ` + byItself + ` ]; then
    set gitboot_off=1
    export gitboot_off
    configfile "${prefix}/grub.cfg"
  elif [ "${gitboot_again}" = ` + byOnce + ` ]; then
    configfile "${prefix}/grub.cfg"
  fi
}`

// A remembered is a block as the menu's script sees it, on the device that is in
// the variable gitboot_block.
type remembered struct{ at boot.Filesystem }

func (r remembered) file() string {
	return `"(${gitboot_block})"` + quote(path.Join(r.at.Path, blockFile))
}

// choice sets what boots by itself, before the entries.
func (w *script) choice(m *boot.Menu) {
	if w.block != nil && len(m.All()) > 0 {
		w.load()
	}
	if m.Mode == boot.ModeManaged {
		w.defaults(m)
	}
	if w.block != nil && len(m.All()) > 0 {
		w.once(m)
	}
}

// lines writes lines as they are.
func (w *script) lines(lines ...string) {
	for _, line := range lines {
		w.line("%s", line)
	}
}

// load reads the block. It is on the device on which custom.cfg has found the menu,
// or on another.
func (w *script) load() {
	w.lines("", "# What GRUB remembers from one boot to the next.")
	for _, name := range blockNames {
		w.line("unset %s", name)
	}
	if w.block.at.UUID == w.menuAt.UUID {
		w.line(`set gitboot_block="${gitboot_stage}"`)
	} else {
		w.line("search --no-floppy --fs-uuid --set=gitboot_block %s", w.block.at.UUID)
	}
	w.lines(
		"export gitboot_block",
		"if [ -f "+w.block.file()+" ]; then",
		"  load_env -f "+w.block.file()+" "+strings.Join(blockNames[:], " "),
		"fi",
	)
}

// ours is true unless something else was chosen before: grub.cfg sets boot_once
// when next_entry asked for an entry, and what boots by itself has failed already
// when gitboot_off is set.
const ours = `if [ "${boot_once}" != "true" -a "${gitboot_off}" != "1" ]; then`

// defaults sets the default, which is counted as long as it is on trial.
func (w *script) defaults(m *boot.Menu) {
	if id := menuPath(m, m.Default); id != "" {
		w.lines("", "# grub.cfg sets boot_once when next_entry asked for an entry.", ours)
		if w.indent++; m.Tries > 0 {
			w.counted(m)
		} else {
			w.boots(id)
		}
		w.indent--
		w.line("fi")
	}
	if m.Timeout != nil {
		w.lines("set timeout_style=menu", "set timeout="+strconv.Itoa(*m.Timeout))
	}
}

// boots makes an entry the one that boots by itself.
func (w *script) boots(id string) {
	w.lines("set default="+quote(id), "set fallback="+byItself, "export fallback")
}

// counted makes the entry on trial the default as long as it has tries left, which
// GRUB can note down. It cannot calculate. A block that counts another's boots was
// written for the menu that takes this one's place and is not there yet, so that this
// one's are counted anew; but not if they were used up before.
func (w *script) counted(m *boot.Menu) {
	id := quote(m.Default)
	w.lines(
		"# What is on trial boots by itself as often as "+leftName+" says.",
		"unset gitboot_next",
		`if [ "${`+goodName+`}" = `+id+" ]; then",
		"  set gitboot_next=good",
		`elif [ "${`+badName+`}" != `+id+" ]; then",
		`  if [ "${`+tryingName+`}" != `+id+" ]; then",
		"    set "+tryingName+"="+id,
		"    set "+leftName+"="+strconv.Itoa(m.Tries),
		"  fi",
	)
	word := "if"
	for n := 1; n <= boot.MaxTries; n++ {
		w.lines(`  `+word+` [ "${`+leftName+`}" = `+strconv.Itoa(n)+" ]; then", "    set gitboot_next="+strconv.Itoa(n-1))
		word = "elif"
	}
	w.lines(
		"  fi",
		`  if [ -n "${gitboot_next}" ]; then`,
		"    if save_env -f "+w.block.file()+" "+tryingName+" "+leftName+"; then",
		"      set timeout_style=menu",
		`      if [ -z "${timeout}" -o "${timeout}" = "-1" ]; then`,
		"        set timeout="+strconv.Itoa(shownFor),
		"      fi",
		"    else",
		"      unset gitboot_next",
		"    fi",
		"  fi",
		"fi",
		`if [ -n "${gitboot_next}" ]; then`,
		"  export gitboot_next",
	)
	w.indent++
	w.boots(menuPath(m, m.Default))
	if id := menuPath(m, m.Fallback); id != "" {
		w.indent--
		w.line("else")
		w.indent++
		w.boots(id)
	}
	w.indent--
	w.line("fi")
}

// once makes an entry the default if it is asked for, and that can be taken back.
func (w *script) once(m *boot.Menu) {
	w.lines("", "# What is asked for once is chosen only if it is not asked for again.", ours, "  unset gitboot_path")
	word := "if"
	for _, e := range m.All() {
		w.lines("  "+word+` [ "${`+onceName+`}" = `+quote(e.ID)+" ]; then", "    set gitboot_path="+quote(menuPath(m, e.ID)))
		word = "elif"
	}
	w.lines(
		"  fi",
		`  if [ -n "${gitboot_path}" ]; then`,
		"    set "+onceName+"=",
		"    if save_env -f "+w.block.file()+" "+onceName+"; then",
		`      set default="${gitboot_path}"`,
		"      set fallback="+byOnce,
		"      export fallback",
		"    fi",
		"  fi",
		"  unset gitboot_path",
		"fi",
		"unset "+onceName,
	)
}

// trial defines what the body of the entry on trial calls: one function counts the
// boot, and fails if it cannot; the other loads what boots in its place.
func (w *script) trial(m *boot.Menu) error {
	if m.Tries > 0 {
		w.lines(
			"",
			"# A boot is counted before the kernel is loaded.",
			"function gitboot_count {",
			`  if [ "${fallback}" = `+byItself+` -a -n "${gitboot_next}" -a "${gitboot_next}" != good ]; then`,
			`    set `+leftName+`="${gitboot_next}"`,
			"    unset gitboot_next",
			"    save_env -f "+w.block.file()+" "+leftName,
			"  fi",
			"}",
		)
	}
	e := m.Entry(m.Fallback)
	if e == nil {
		return nil
	}
	w.lines("", "# What nobody chose and cannot be loaded gives way.", "function gitboot_fallback {",
		`  if [ "${fallback}" = `+byItself+" ]; then")
	w.indent += 2
	err := w.kernel(*e, "", "gitboot_failed")
	w.indent -= 2
	w.lines("  fi", "}")
	return err
}

// menuPath returns how GRUB is told of an entry, "" of none: an older one is named
// through its submenu.
func menuPath(m *boot.Menu, id string) string {
	for _, one := range m.Apart() {
		if one.ID == id {
			return id
		}
	}
	for _, image := range m.Images {
		for i, e := range image.Entries {
			switch {
			case e.ID != id:
			case i == 0:
				return e.ID
			default:
				return boot.OlderID(image.Name) + ">" + e.ID
			}
		}
	}
	return ""
}

// kernel loads what an entry boots, if before succeeds, and does otherwise if it
// cannot be loaded.
func (w *script) kernel(e boot.Entry, before, otherwise string) error {
	words, err := deployment.Words(w.path(e.Kernel), e.Args)
	if err != nil {
		return err
	}
	linux := "linux " + quote(w.path(e.Kernel))
	for _, word := range words {
		linux += " " + quote(word)
	}
	lines := []string{"if " + linux + "; then", "  if initrd " + quote(w.path(e.Initrd)) + "; then", "    set gitboot_loaded=1", "  fi", "fi"}
	if before != "" {
		for i := range lines {
			lines[i] = "  " + lines[i]
		}
		lines = append(append([]string{"if " + before + "; then"}, lines...), "fi")
	}
	if w.stage.Type == "btrfs" {
		lines = append([]string{"insmod linux"}, fromTop(lines)...)
	}
	w.line("search --no-floppy --fs-uuid --set=root %s", w.stage.UUID)
	w.line("unset gitboot_loaded")
	w.lines(lines...)
	w.lines(`if [ "${gitboot_loaded}" != "1" ]; then`, "  "+otherwise, "fi")
	return nil
}
