// Package script tests the command line: the scripts below testdata run the
// real program against a real registry in this process and real git repos.
//
// A script is a txtar archive: commands, one a line, then files. Its first
// lines say what it is about. Every script finds
//
//	repo/            a git repo, empty but for the script's files below repo/
//	grub/grub.cfg    an empty boot loader's folder
//	agent.toml       settings that name repo, the machine laptop, the folder
//	                 stage, and grub; unless the script brings its own
//	$REGISTRY        the address of a registry of its own
//
// and, besides the commands of testscript
// (https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript), these:
//
//	gitboot ARG...             run gitboot with agent.toml (or $CONFIG)
//	exits CODE ARG...          the same, and expect this exit code
//	commit MESSAGE             commit repo, REGISTRY replaced in its files
//	edit FILE OLD NEW          replace text in a file
//	kernel [-bare] DIR VERSION put a kernel into a root file system; without
//	                           its modules if bare
//	random FILE BYTES          make a file that cannot be compressed
//	push [--chunked] NAME:TAG DIR...
//	                           push an image, a layer from each folder; its
//	                           digest is then $DIGEST
//	signer NAME                make a key pair for cosign: NAME/cosign.pub
//	sign NAME FORM IMAGE       sign with it, in the form simple or bundle
//	pack FILE DIR              make a tar of a root file system
//	small FILE [SCRIPT]        make a tar of one that boots and runs the script
//	                           then; without a script it has no init
//	registry fault KIND [N]    break the next N answers, or all: cut, spoil,
//	                           hold, silence or an HTTP status
//	registry refuse STATUS     take nothing that is written
//	registry login USER PASSWORD  want them of everybody from now on
//	registry forget            lose the manifests, and keep the blobs
//	registry ok                break nothing more
//	registry log               print the requests since the last fault or ok
//	registry held              wait until an answer is being held
//	sshd                       an OpenSSH server: $SSHD, $HOSTKEY, the file authorized
//	registry stop              end the registry
//	snapshot FILE DIR          list a folder's inodes, sizes and times
//	documented COMMAND         compare the JSON in stdout with docs/json.md
//	documented -all FIELD...   all that is documented was seen, but for these
//	damage GLOB                change one bit of each file
//	stale IMAGE ARG            add a generation as a gitboot left it that did not
//	                           check kernel arguments
//	lock DIR, lock -release    take or release a stage's lock
//	until FILE REGEXP          wait until a file holds something
//	tmpfs DIR SIZE             mount a small file system (as root)
//	ext4 DIR SIZE OPTION...    mount a new ext4 made with these options (as root)
//	buildkitd                  start a BuildKit daemon, and name it in agent.toml
//	                           (as root)
//	dockerd                    the same with a docker daemon
//	traces TEXT PATH...        print the files that have a text in them, those in
//	                           objects, exports and git repos too
//	remembers TEXT PIDFILE     look for a text in a process's memory (as root)
//
// Scripts in testdata/root need root, and are skipped without it and under
// -short.
//
// With -update, what the program prints is written into the scripts that compare
// it.
package script
