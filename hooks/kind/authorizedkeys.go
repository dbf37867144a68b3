package kind

import (
	"cmp"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// AuthorizedKeys writes ~/.ssh/authorized_keys of users.
type AuthorizedKeys struct {
	Users []UserKeys `key:"user" doc:"Users."`
}

// UserKeys are the public keys that may log in as one user.
type UserKeys struct {
	User string `key:"user" is:"user" required:"true" doc:"The user's name."`
	// Home is /root for root and else /home/<user> if it is empty.
	Home    string `key:"home" is:"hook-path" doc:"The home folder; /root or /home/USER if absent."`
	Owner   `key:"owner" is:"owner" doc:"Numeric uid:gid; required but for root."`
	Keys    []string `key:"keys" is:"public-key" doc:"Public keys."`
	Sources []string `key:"sources" is:"repo-path" lines:"Keys" json:"-" doc:"Files in the repo with public keys, one a line."`
}

func (a *AuthorizedKeys) Help() Help {
	return Help{
		Summary: "let SSH keys log in as users of the image",
		Text: `Writes .ssh/authorized_keys (0600, its directory 0700) into the users' homes.
The users themselves are made by the image.

user     the user's name
home     /root for root, else /home/USER, if it is left out
owner    "uid:gid", the numbers in the image; needed for all but root
keys     lines as authorized_keys takes them: options, type, key, comment
sources  files in the config repo with such lines`,
	}
}

func (a *AuthorizedKeys) Paths(string) (paths []string) {
	for _, u := range a.Users {
		paths = append(paths, path.Join(u.Home, ".ssh/authorized_keys"))
	}
	return paths
}

func (a *AuthorizedKeys) Complete(Machine) {
	for i := range a.Users {
		a.Users[i].Home = cmp.Or(a.Users[i].Home, homeOf(a.Users[i].User))
	}
}

func homeOf(user string) string {
	if user == "root" {
		return "/root"
	}
	return path.Join("/home", user)
}

func (a *AuthorizedKeys) Check() (ps check.Problems) {
	for i, u := range a.Users {
		ps.Add(u.User, WrongUser(u.User), "use the login name", "user", i, "user")
		if u.Home != "" {
			ps.Add(u.Home, check.WrongPath(u.Home), "write a clean path from /", "user", i, "home")
		}
		switch {
		case u.UID < 0 || u.GID < 0:
			ps.Add("", "has a negative number", `write "uid:gid"`, "user", i, "owner")
		case u.UID == 0 && u.User != "root":
			ps.Add(u.User, "has no owner", `add owner = "1000:1000" with the user's numbers in the image`, "user", i)
		}
		if len(u.Keys) == 0 && len(u.Sources) == 0 {
			ps.Add(u.User, "has no keys", "add keys = […] or sources = […]", "user", i)
		}
		for n, line := range u.Keys {
			// The line is not shown: it may be a private key.
			ps.Add("", check.WrongKey(line), "write one line as in a .pub file: type, key, comment", "user", i, "keys", n)
		}
	}
	return ps
}

// WrongUser returns what keeps a name from being a login name, or "".
func WrongUser(name string) string {
	if name == "" || len(name) > 32 || strings.ContainsFunc(name, notUserByte) || strings.Trim(name[:1], "-0123456789") == "" {
		return "is not a user's name"
	}
	return ""
}

func notUserByte(c rune) bool {
	return c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
}
