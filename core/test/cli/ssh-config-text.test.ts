import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type HostEntry, NotRemovable, addHost, linesOfHost, removeHost } from "../../src/cli/ssh-config-text";

const entry = (more: Partial<HostEntry> = {}): HostEntry => ({
  name: "new",
  hostname: "10.0.0.1",
  user: "me",
  port: 2222,
  identityFile: null,
  options: [],
  ...more,
});
const OWN = "Host new\n    HostName 10.0.0.1\n    User me\n    Port 2222\n";

const CONFIG = `# mine
Include conf.d/*
User me   # a trailing comment

# about a and b
Host a b  # two
\tHostName 1.2.3.4
  Port=22 \n   # inside
  SomeNewOption of ssh

Host c
  # inside c
  Port 1

# about all
Host *
  IdentityFile "~/my keys/id"
`;

describe("adding a host", () => {
  test("stands in front of what holds for all hosts, and changes no other byte", () => {
    const added = addHost(CONFIG, entry());
    expect(added).toBe(CONFIG.replace("# about all", `${OWN}\n# about all`));
  });

  test("goes to the end where nothing holds for all", () => {
    expect(addHost("", entry())).toBe(OWN);
    expect(addHost("Host a\n  Port 1", entry())).toBe(`Host a\n  Port 1\n\n${OWN}`);
    expect(addHost("Host a\r\n  Port 1\r\n", entry())).toBe(`Host a\r\n  Port 1\r\n\r\n${OWN.replace(/\n/g, "\r\n")}`);
  });

  test("writes key files with blanks in quotes, and options as they are", () => {
    const text = addHost("", entry({ identityFile: "~/my keys/id", options: [["ProxyJump", "gate"]] }));
    expect(text).toContain('    IdentityFile "~/my keys/id"\n    IdentitiesOnly yes\n    ProxyJump gate\n');
  });
});

describe("removing a host", () => {
  test("takes its entry, and leaves comments and everything else", () => {
    expect(removeHost(CONFIG, "c")).toBe(CONFIG.replace("Host c\n  # inside c\n  Port 1\n\n", "  # inside c\n"));
  });

  test("takes its name from a line of several", () => {
    expect(removeHost(CONFIG, "a")).toBe(CONFIG.replace("Host a b  # two", "Host b  # two"));
    expect(removeHost('Host "x" y\n', "y")).toBe('Host "x"\n');
    expect(removeHost("Host x y # x is in room 5\n", "x")).toBe("Host y # x is in room 5\n");
  });

  test("is refused where the entry includes another file", () => {
    expect(() => removeHost("Host a\n  Include more\n", "a")).toThrow(NotRemovable);
  });

  test("knows the lines of a host", () => {
    expect(linesOfHost(CONFIG, "b")).toEqual([6]);
    expect(linesOfHost(CONFIG, "two")).toEqual([]);
    expect(linesOfHost('HOST="b"\nhost b\n', "b")).toEqual([1, 2]);
  });
});

test("what is added and removed again leaves the text as it was, whatever it is", () => {
  const line = fc.oneof(
    fc.constantFrom(
      "Host a",
      "host = b c",
      "Match user x",
      "Host *",
      "  Port 1",
      "# text",
      "",
      '\tUnknown "x y" z # c',
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(line), fc.constantFrom("\n", "\r\n"), (lines, end) => {
      const text = lines.map((one) => one.replace(/\n/g, "") + end).join("");
      fc.pre(linesOfHost(text, "new").length === 0);
      const added = addHost(text, entry());
      expect(linesOfHost(added, "new")).toHaveLength(1);
      // A blank line may have come between what was there and the entry.
      expect(removeHost(added, "new").trimEnd()).toBe(text.trimEnd());
    }),
  );
});
