package agent

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// filePages is how many kB of files this process has in memory.
func filePages(t *testing.T) (kB int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "\nRssFile:")
	if _, err := fmt.Sscan(after, &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}

// At rest most of the program is not in memory, and it goes on all the same.
func TestRestingTakesLittleMemory(t *testing.T) {
	before := filePages(t)
	rest()
	if after := filePages(t); after > before-1<<10 { // what runs now comes back at once
		t.Errorf("%d kB of files are in memory, and %d kB were before", after, before)
	}
}

func TestUnwritten(t *testing.T) {
	const file = "/usr/bin/gitboot"
	mapping := func(line, anonymous string) string {
		return line + "\nSize: 8 kB\nRss: 8 kB\nAnonymous:             " + anonymous + " kB\nVmFlags: rd mr mw me\n"
	}
	for line, want := range map[string]bool{
		"00401000-00f5a000 r-xp 00001000 08:01 1234                               /usr/bin/gitboot":           true,
		"00f5a000-01b5b000 r--p 00b5a000 08:01 1234                               /usr/bin/gitboot":           true,
		"01b5b000-01bf0000 rw-p 0175b000 08:01 1234                               /usr/bin/gitboot":           false,
		"7f0000000000-7f0000001000 r--p 00000000 08:01 99                         /etc/usr/bin/gitboot":       false,
		"7f0000000000-7f0000001000 r--s 00000000 08:01 1234                       /usr/bin/gitboot":           false,
		"7ffd0000-7ffe0000 r-xp 00000000 00:00 0                                  [vdso]":                     false,
		"00401000-00f5a000 r-xp 00001000 08:01 1234                               /usr/bin/gitboot (deleted)": false,
		"nonsense /usr/bin/gitboot": false,
		"":                          false,
	} {
		if got := unwritten(mapping(line, "0"), file); (len(got) == 1) != want {
			t.Errorf("%q: %v", line, got)
		}
	}
	text := mapping("00401000-00403000 r-xp 0 08:01 1 "+file, "0") + mapping("00403000-00404000 r--p 0 08:01 1 "+file, "4")
	if got := unwritten(text, file); len(got) != 1 || got[0] != (part{0x401000, 0x2000}) {
		t.Errorf("%x", got)
	}
}
