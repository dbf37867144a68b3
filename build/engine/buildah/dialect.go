package buildah

// A Dialect is what is different in the command lines of those who share
// buildah's code. Words are arguments of the program.
type Dialect struct {
	Program string   // and its package
	Pull    []string // words before what is pulled
	// Containers are the words that list what builds have worked in, Remove
	// those before what of that is removed.
	Containers, Remove []string
	// Mounts is the version since which folders survive mounts on them,
	// Heredocs the one that knows them first.
	Mounts, Heredocs [2]int
	// Global, unless it is nil, gives words before the command; run is a folder
	// for what ends with this system's run.
	Global func(run string) []string
}

var buildah = Dialect{
	Program:    "buildah",
	Pull:       []string{"pull", "--quiet", "--policy", "always"},
	Containers: []string{"containers", "--quiet"},
	Remove:     []string{"rm"},
	Mounts:     [2]int{1, 31}, Heredocs: [2]int{1, 33},
}
