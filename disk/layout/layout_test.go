package layout

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const gb = 1_000_000_000

// What is placed lies within the disk, one behind the other, at whole MiB, and has what
// it takes: of whatever Check lets through, on any disk that is as large as Need says.
func TestPlace(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	placed := 0
	for range 20_000 {
		d := Disk{Partitions: arbitrary(random)}
		if len(d.Check()) > 0 {
			continue
		}
		need := Need(d.Partitions)
		if _, err := Place(d.Partitions, need-1, "m"); !errors.As(err, new(*TooSmallError)) {
			t.Fatalf("%+v fit onto less than they need: %v", d.Partitions, err)
		}
		size := need + random.Int64N(1<<random.IntN(45))
		got, err := Place(d.Partitions, size, "m")
		if err != nil {
			t.Fatalf("%+v on %d bytes: %v", d.Partitions, size, err)
		}
		placed++
		check(t, got, size)
	}
	if placed < 300 {
		t.Errorf("only %d were right", placed)
	}
}

func check(t *testing.T, got []Placed, size int64) {
	t.Helper()
	end, names := int64(Table), map[string]bool{}
	for _, p := range got {
		if p.Start != end || p.Length%mib != 0 || p.Length < p.least() {
			t.Fatalf("%+v begins at %d, want %d, and has %d", p.Partition, p.Start, end, p.Length)
		}
		if names[p.UUID] || p.FSID != "" && names[p.FSID] {
			t.Fatalf("two have the UUID %s or %s", p.UUID, p.FSID)
		}
		names[p.UUID], names[p.FSID] = true, true
		end = p.End()
	}
	if end > size-Table {
		t.Fatalf("the last one ends at %d of %d", end, size)
	}
}

func arbitrary(random *rand.Rand) (all []Partition) {
	roles := []string{BIOS, ESP, Boot, Stage, Data, Swap}
	random.Shuffle(len(roles), func(i, j int) { roles[i], roles[j] = roles[j], roles[i] })
	for _, role := range roles[:1+random.IntN(len(roles))] {
		p := Partition{Role: role}
		if traits[role].filesystem == Ext4 {
			p.Filesystem = []string{"", Ext4, XFS, Btrfs}[random.IntN(4)]
		}
		switch random.IntN(3) {
		case 0:
			p.Size = random.Int64N(20 * gb)
		case 1:
			p.Share = random.IntN(60)
		}
		all = append(all, p)
	}
	return all
}

// The usual one boots by either firmware, and gives the stage all else.
func TestDefault(t *testing.T) {
	got, err := Place(Default(""), 8*gb, "laptop")
	if err != nil {
		t.Fatal(err)
	}
	if wrong := (Disk{Partitions: Default("")}).Check(); len(wrong) > 0 {
		t.Errorf("the usual one is wrong: %v", wrong)
	}
	check(t, got, 8*gb)
	if wrong := (Disk{Arch: ARM64, Partitions: Default(ARM64)}).Check(); len(wrong) > 0 {
		t.Errorf("that of arm64 is wrong: %v", wrong)
	}
	stage := Find(got, Stage)
	if Find(got, BIOS) == nil || Find(got, ESP) == nil || stage.Length < 7*gb || stage.Filesystem != Ext4 {
		t.Errorf("%+v", got)
	}
	again, _ := Place(Default(""), 8*gb, "laptop")
	other, _ := Place(Default(""), 8*gb, "desktop")
	if !slices.Equal(got, again) || other[2].FSID == stage.FSID || DiskUUID("laptop") == DiskUUID("desktop") {
		t.Error("names do not follow from the seed alone")
	}
	larger, _ := Place(Default(""), 80*gb, "laptop")
	if larger[2].FSID != stage.FSID || larger[2].Start != stage.Start {
		t.Error("another size gives the stage another name")
	}
	if n := With(Default(""), Stage, 3*gb); n != With(Default(""), Stage, 3*gb+1)-0 && n <= 3*gb {
		t.Errorf("a stage of 3 GB takes a disk of %d", n)
	}
}

// Whatever is wrong is told, with what to do.
func TestCheck(t *testing.T) {
	stage, esp := Partition{Role: Stage}, Partition{Role: ESP}
	for want, d := range map[string]Disk{
		"partitions are none":                                            {},
		"have none for the stage":                                        {Partitions: []Partition{esp}},
		"have none that a firmware starts from":                          {Partitions: []Partition{stage}},
		"partition 2: role is there twice":                               {Partitions: []Partition{esp, esp, stage}},
		"serial is given beside device":                                  {Device: "/dev/sda", Serial: "x", Partitions: []Partition{esp, stage}},
		"partition 2: share is given beside size":                        {Partitions: []Partition{esp, {Role: Stage, Size: gb, Share: 3}}},
		"partition 2: swap without a size":                               {Partitions: []Partition{esp, {Role: Swap}, stage}},
		"partition 1: size is less than a partition for esp takes":       {Partitions: []Partition{{Role: ESP, Size: 1e6}, stage}},
		"partition 1: filesystem is not for esp":                         {Partitions: []Partition{{Role: ESP, Filesystem: Ext4}, stage}},
		"partition 2: label is longer than the 16 characters":            {Partitions: []Partition{esp, {Role: Stage, Label: strings.Repeat("x", 17)}}},
		"partition 2: label is another partition's, too":                 {Partitions: []Partition{esp, {Role: Stage, Label: "ESP"}}},
		"partition 1: grow is for the last partition":                    {Partitions: []Partition{{Role: Stage, Grow: true}, esp}},
		"partition 1: grow is not for esp":                               {Partitions: []Partition{{Role: ESP, Grow: true}, stage}},
		"partition 3: takes what is left, and so does another":           {Partitions: []Partition{esp, stage, {Role: Data}}},
		"have shares of 120% together":                                   {Partitions: []Partition{esp, {Role: Stage, Share: 60}, {Role: Data, Share: 60}}},
		"leave nothing for the one without a size":                       {Partitions: []Partition{esp, stage, {Role: Data, Share: 100}}},
		"size is less than its partitions take: the partitions take 9.":  {Size: "<=9GB", Partitions: []Partition{esp, {Role: Stage, Size: 9 * gb}}},
		"partition 1: role is for a BIOS, which no machine of arm64 has": {Arch: ARM64, Partitions: []Partition{{Role: BIOS}, stage}},
		"partition 2: filesystem is not for boot":                        {Partitions: []Partition{esp, {Role: Boot, Filesystem: Btrfs}, stage}},
		"partition 2: size is less than a partition for data takes on x": {Partitions: []Partition{esp, {Role: Data, Filesystem: XFS, Size: 100e6}, stage}},
		"have none that GRUB can write on":                               {Partitions: []Partition{{Role: BIOS}, {Role: Stage, Filesystem: Btrfs}}},
		"partitions are more than 32":                                    {Partitions: slices.Repeat([]Partition{{Role: Data}}, 33)},
	} {
		found := d.Check()
		if !slices.ContainsFunc(found, func(w Wrong) bool {
			return strings.HasPrefix(w.String(), want) || strings.Contains(w.String(), " "+want)
		}) {
			t.Errorf("want %q of %+v, got %v", want, d, found)
		}
	}
}

// A disk that is sold as 500GB has a little less, or more.
func TestBound(t *testing.T) {
	for bound, sizes := range map[Bound][2]int64{
		">=500GB": {499 * gb, 400 * gb}, "<=500GB": {501 * gb, 600 * gb}, "=500GB": {500_107_862_016, 512 * gb},
		"<1TB": {999 * gb, 1000 * gb}, ">2TB": {2001 * gb, 2000 * gb},
	} {
		if !bound.Holds(sizes[0]) || bound.Holds(sizes[1]) {
			t.Errorf("%s: %v and %v", bound, bound.Holds(sizes[0]), bound.Holds(sizes[1]))
		}
	}
	if Bound("").Holds(1) {
		t.Error("no bound holds")
	}
}
