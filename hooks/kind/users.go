package kind

import (
	"cmp"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// Users adds users and groups to those of the image.
type Users struct {
	Users  []User  `key:"user" doc:"Users."`
	Groups []Group `key:"group" doc:"Groups that the image has not."`
}

// A User is one line of passwd(5) and shadow(5).
type User struct {
	Name    string   `key:"name" is:"user" required:"true" doc:"The login name; root for the image's own."`
	UID     int      `key:"uid" is:"user-id" doc:"The number; required but for root, so that files keep their owner whatever the image is."`
	GID     int      `key:"gid" is:"user-id" doc:"The number of the user's own group, which is made if the image has none of it; as uid if absent."`
	Groups  []string `key:"groups" is:"user" doc:"Further groups."`
	Shell   string   `key:"shell" is:"hook-path" default:"/bin/sh" doc:"The login shell; for root the image's if absent."`
	Home    string   `key:"home" is:"hook-path" doc:"The home folder; /root or /home/USER if absent."`
	Comment string   `key:"comment" is:"template" doc:"The whole name."`
	// PasswordHash is in the form of crypt(5); without one no password fits.
	PasswordHash string   `key:"password_hash" is:"password" doc:"The password as \"mkpasswd\" or \"openssl passwd -6\" print it; no password fits if absent."`
	Keys         []string `key:"keys" is:"public-key" doc:"SSH keys that may log in."`
	Sources      []string `key:"sources" is:"repo-path" lines:"Keys" json:"-" doc:"Files in the repo with such keys, one a line."`
}

// A Group is one line of group(5).
type Group struct {
	Name string `key:"name" is:"user" required:"true" doc:"The group's name."`
	GID  int    `key:"gid" is:"user-id" required:"true" doc:"Its number."`
}

func (u *Users) Help() Help {
	return Help{
		Summary: "add users and groups to the image's",
		Text: `Adds to the image's /etc/passwd, group, shadow and gshadow, and to subuid and
subgid where the image has them. Homes are made (0700) with what /etc/skel has. A
user or group of another number in the image is an error.

user   name, uid, gid, groups, shell, home, comment, password_hash, keys, sources;
       root can be given a password, keys and a shell
group  name, gid: for groups that the image does not have

A password_hash is as secret as a password that can be guessed: who reads the
config repo can try.`,
	}
}

func (u *Users) Paths(string) []string {
	paths := []string{"/etc/passwd", "/etc/group"}
	for _, user := range u.Users {
		if len(user.Keys) > 0 {
			paths = append(paths, path.Join(user.Home, ".ssh/authorized_keys"))
		}
	}
	return paths
}

func (u *Users) Complete(Machine) {
	for i := range u.Users {
		user := &u.Users[i]
		user.Home = cmp.Or(user.Home, homeOf(user.Name))
		user.GID = cmp.Or(user.GID, user.UID)
		if user.Name != "root" {
			user.Shell = cmp.Or(user.Shell, "/bin/sh")
		}
	}
}

func (u *Users) Check() (ps check.Problems) {
	if len(u.Users)+len(u.Groups) == 0 {
		ps.Add("", "is missing", "add [[hook.NAME.users.user]]", "user")
	}
	names, numbers := map[string]bool{}, map[int]bool{}
	for i, user := range u.Users {
		user.check(&ps, i)
		if names[user.Name] {
			ps.Add(user.Name, "is declared twice", "remove one", "user", i, "name")
		} else if numbers[user.UID] {
			ps.Add(user.Name, "has the number of another", "give it one of its own", "user", i, "uid")
		}
		names[user.Name], numbers[user.UID] = true, true
	}
	names, numbers = map[string]bool{}, map[int]bool{}
	for i, group := range u.Groups {
		ps.Add(group.Name, WrongUser(group.Name), "use small letters, digits, - and _", "group", i, "name")
		ps.Add(group.Name, wrongID(group.GID), "write a number from 1 to 60000", "group", i, "gid")
		if names[group.Name] || numbers[group.GID] {
			ps.Add(group.Name, "has the name or number of another", "remove one", "group", i)
		}
		names[group.Name], numbers[group.GID] = true, true
	}
	return ps
}

func (u *User) check(ps *check.Problems, i int) {
	ps.Add(u.Name, WrongUser(u.Name), "use the login name", "user", i, "name")
	if u.Name != "root" {
		ps.Add(u.Name, wrongID(u.UID), "add uid = 1000 or another number up to 60000, the same in all images", "user", i, "uid")
	} else if u.UID != 0 {
		ps.Add(u.Name, "has number 0", "leave uid out", "user", i, "uid")
	}
	if u.GID != 0 {
		ps.Add(u.Name, wrongID(u.GID), "write a number from 1 to 60000", "user", i, "gid")
	}
	for n, group := range u.Groups {
		ps.Add(group, WrongUser(group), "use a group's name", "user", i, "groups", n)
	}
	for _, f := range []struct{ key, value string }{{"shell", u.Shell}, {"home", u.Home}} {
		if f.value != "" {
			ps.Add(f.value, cmp.Or(check.WrongPath(f.value), wrongField(f.value)), "write a clean path from /", "user", i, f.key)
		}
	}
	ps.Add(u.Comment, wrongField(u.Comment), "write a line without a colon", "user", i, "comment")
	if u.PasswordHash != "" {
		ps.Add("", WrongPasswordHash(u.PasswordHash), `write what "openssl passwd -6" prints`, "user", i, "password_hash")
	}
	for n, line := range u.Keys {
		ps.Add("", check.WrongKey(line), "write one line as in a .pub file: type, key, comment", "user", i, "keys", n)
	}
}

// wrongID leaves out what distributions and systemd keep for themselves above.
func wrongID(id int) string {
	if id < 1 || id > 60000 {
		return "has no number"
	}
	return ""
}

// wrongField says what cannot be between the colons of passwd(5).
func wrongField(s string) string {
	if strings.Contains(s, ":") {
		return "has a colon"
	}
	return check.NotLine(s)
}

// WrongPasswordHash returns what keeps s from being the hash of a password as
// crypt(5) has them, or "".
func WrongPasswordHash(s string) string {
	// The methods that are not weak.
	for _, method := range []string{"$y$", "$gy$", "$7$", "$2a$", "$2b$", "$2y$", "$5$", "$6$"} {
		if rest, ok := strings.CutPrefix(s, method); ok && len(rest) > 10 && len(rest) <= 300 &&
			check.NotWord(rest) == "" && !strings.ContainsAny(rest, `:*!\`) {
			return ""
		}
	}
	return "is not the hash of a password"
}
