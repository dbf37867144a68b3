package layout

import (
	"fmt"
	"strings"
)

// A Wrong is something that cannot be: of a partition, or of the whole if Index is -1.
type Wrong struct {
	Index int
	// Key is the one that says it, "" if none does alone.
	Key, Value      string
	Message, Remedy string
}

func (w Wrong) String() string {
	text := w.Message + "; " + w.Remedy
	if w.Key != "" {
		text = w.Key + " " + text
	}
	if w.Index >= 0 {
		text = fmt.Sprintf("partition %d: %s", w.Index+1, text)
	}
	return text
}

// maxPartitions is fewer than a table can have: each costs time.
const maxPartitions = 32

// Check finds what can be of no disk.
func (d Disk) Check() []Wrong {
	c := &checker{arch: d.Arch, seen: map[string]bool{}, labels: map[string]bool{}}
	c.one(d)
	if len(d.Partitions) > maxPartitions {
		c.whole("partitions", "", fmt.Sprintf("are more than %d", maxPartitions), "declare fewer")
		return c.found
	}
	for i, p := range d.Partitions {
		c.partition(i, p, i == len(d.Partitions)-1)
	}
	c.together(d.Partitions)
	if len(c.found) == 0 {
		c.fits(d)
	}
	return c.found
}

type checker struct {
	arch         string
	found        []Wrong
	seen, labels map[string]bool
	shares       int
	rest         bool
}

func (c *checker) whole(key, value, message, remedy string) {
	c.found = append(c.found, Wrong{-1, key, value, message, remedy})
}

// one refuses a disk that is to be found in more than one way.
func (c *checker) one(d Disk) {
	var said []string
	for _, s := range []struct{ key, value string }{{"device", d.Device}, {"serial", d.Serial}, {"size", d.Size}} {
		if s.value != "" {
			said = append(said, s.key)
		}
	}
	if len(said) > 1 {
		c.whole(said[1], "", "is given beside "+said[0], "one of device, serial and size says which disk it is")
	}
}

// partition checks one by itself, and against those before it.
func (c *checker) partition(i int, p Partition, last bool) {
	wrong := func(key, value, message, remedy string) {
		c.found = append(c.found, Wrong{i, key, value, message, remedy})
	}
	full, trait := p.complete(), traits[p.Role]
	switch {
	case p.Role == BIOS && !hasBIOS(c.arch):
		wrong("role", p.Role, "is for a BIOS, which no machine of "+c.arch+" has", `leave it out, and have { role = "esp" }`)
	case c.seen[p.Role] && trait.once:
		wrong("role", p.Role, "is there twice", "a disk has one at most")
	case p.Size != 0 && p.Share != 0:
		wrong("share", fmt.Sprintf("%d%%", p.Share), "is given beside size", "give one of them")
	case p.Role == Swap && p.fills():
		wrong("", "", "swap without a size would take all that is left", "give it a size or a share")
	case full.Size != 0 && full.Size < full.least():
		wrong("size", megabytes(p.Size), "is less than a partition for "+p.Role+" takes"+on(p.Filesystem), "give it "+megabytes(full.least())+" at least")
	}
	c.seen[p.Role] = true
	if p.Filesystem != "" && trait.filesystem != Ext4 {
		wrong("filesystem", p.Filesystem, "is not for "+p.Role, "leave it out")
	}
	if p.Role == Boot && p.Filesystem == Btrfs {
		wrong("filesystem", Btrfs, "is not for "+Boot+": GRUB cannot write on it", "take ext4 or xfs")
	}
	if most := labels[full.Filesystem]; len(p.Label) > most {
		wrong("label", p.Label, fmt.Sprintf("is longer than the %d characters that it may have there", most), "shorten it")
	}
	if c.labels[strings.ToLower(full.Label)] && (p.Label != "" || p.Role != Data && p.Role != Swap) {
		wrong("label", full.Label, "is another partition's, too", "give each its own")
	}
	c.labels[strings.ToLower(full.Label)] = true
	switch {
	case p.Grow && trait.filesystem != Ext4:
		wrong("grow", "true", "is not for "+p.Role, "leave it out")
	case p.Grow && !last:
		wrong("grow", "true", "is for the last partition: there is no room behind another", "move it to the end, or leave it out")
	}
	if p.fills() && full.fills() {
		if c.rest {
			wrong("", "", "takes what is left, and so does another before it", "give one of them a size or a share")
		}
		c.rest = true
	}
	c.shares += p.Share
}

func on(filesystem string) string {
	if filesystem == "" {
		return ""
	}
	return " on " + filesystem
}

// together checks what only all of them show.
func (c *checker) together(all []Partition) {
	switch {
	case len(all) == 0:
		c.whole("partitions", "", "are none", "leave it out for the usual ones, or give those that there are to be")
		return
	case !c.seen[Stage]:
		c.whole("partitions", "", "have none for the stage", `add { role = "stage" }`)
	case GRUB(all) == "":
		c.whole("partitions", "", "have none that GRUB can write on, and it notes there what it boots", `add { role = "boot" } or { role = "esp" }, or have the stage on ext4 or xfs`)
	}
	if !c.seen[BIOS] && !c.seen[ESP] {
		c.whole("partitions", "", "have none that a firmware starts from", `add { role = "esp" } for UEFI, { role = "bios" } for BIOS, or both`)
	}
	switch {
	case c.shares > 100:
		c.whole("partitions", "", fmt.Sprintf("have shares of %d%% together", c.shares), "give them 100% at most")
	case c.shares == 100 && c.rest:
		c.whole("partitions", "", "leave nothing for the one without a size", "give it a share, and others less")
	}
}

// fits refuses what is larger than the disk may be that is declared.
func (c *checker) fits(d Disk) {
	most := Bound(d.Size).most()
	if most == 0 {
		return
	}
	if _, err := Place(d.Partitions, most, ""); err != nil {
		c.whole("size", d.Size, "is less than its partitions take: "+err.Error(), "give them less, or take a larger disk")
	}
}
