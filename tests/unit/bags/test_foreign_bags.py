"""Bags that other recorders wrote: read, or refused in one sentence; what cannot be read costs its own topic alone."""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
import time
from pathlib import Path

import pytest
import yaml
import zstandard
from bag_making import START_NS, Messages, write_drive
from foreign_bags import (
    FRAMES,
    IMAGE,
    TWIST,
    Topic,
    drive_topics,
    service_events,
    write_folder,
    write_mcap,
    write_metadata,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shared_data import find_shared_data, shared_data

from mobile_vla.bags.config import ReplayConfig
from mobile_vla.bags.dataset.build import BuildOptions, build
from mobile_vla.bags.playback import Playback
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.recover import recover
from mobile_vla.bags.roles import find_camera_and, find_roles
from mobile_vla.bags.types import BagCommand, BagFrame
from mobile_vla.errors import UserError

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345678\n"


def read(path: Path) -> tuple[int, int]:
    """Frames and commands of a bag, through the whole of it."""
    with BagReader(path) as reader:
        events = list(reader.events(find_roles(reader.topics.values())))
        assert not reader.undecodable.skipped
    return tuple(len([event for event in events if isinstance(event, kind)]) for kind in (BagFrame, BagCommand))  # type: ignore[return-value]


@pytest.mark.parametrize("whole", [True, False], ids=["indexed", "truncated"])
@pytest.mark.parametrize("form", ["folder", "file"])
def test_a_definition_that_cannot_be_parsed_costs_its_own_topic(
    tmp_path: Path, messages: Messages, form: str, whole: bool
) -> None:
    topics = [*drive_topics(messages), service_events()]
    bag = write_folder(tmp_path / "bag", topics) if form == "folder" else write_mcap(tmp_path / "bag.mcap", topics)
    file = bag / "bag_0.mcap" if form == "folder" else bag
    if not whole:
        file.write_bytes(file.read_bytes()[:-40])
    with BagReader(bag) as reader:
        assert (reader.damage is None) == whole
        assert reader.topics["/add_two_ints/_service_event"].messages == 3
        assert reader.unreadable == (
            "/add_two_ints/_service_event cannot be read: the definition of example_interfaces/srv/AddTwoInts_Event in "
            "the bag cannot be used: it cannot be parsed"
        )
        assert len(list(reader.raw())) == 2 * FRAMES + 4
    assert read(bag) == (FRAMES, FRAMES)


def test_the_data_set_is_built_without_that_topic_and_says_so(tmp_path: Path, messages: Messages) -> None:
    bag = write_folder(tmp_path / "bag", [*drive_topics(messages), service_events()])
    manifest = build([bag], tmp_path / "data", BuildOptions())
    assert manifest.episodes[0].frames == FRAMES
    assert manifest.damage == [f"{bag}: /add_two_ints/_service_event cannot be read: {EVENT_TROUBLE}"]


EVENT_TROUBLE = (
    "the definition of example_interfaces/srv/AddTwoInts_Event in the bag cannot be used: it cannot be parsed"
)


def test_replay_leaves_out_what_cannot_be_published_and_says_why(tmp_path: Path, messages: Messages) -> None:
    own = Topic("/wheels", "own_msgs/msg/Wheels", [(START_NS, b"\0\1\0\0\0")], "uint8 x")
    bag = write_folder(tmp_path / "bag", [*drive_topics(messages), service_events(), own])
    with BagReader(bag) as reader:
        playback = Playback(reader, ReplayConfig(), installed=lambda kind: not kind.startswith("own_msgs"))
        assert [topic.recorded for topic in playback.topics] == ["/camera/image_raw", "/instruction"]
        assert playback.unpublished == {
            "/add_two_ints/_service_event": f"cannot be read: {EVENT_TROUBLE}",
            "/wheels": "is a own_msgs/msg/Wheels, which is not installed",
        }
        assert len(list(playback.messages())) == FRAMES + 1
        with pytest.raises(UserError, match=r"/add_two_ints/_service_event cannot be read: .*; leave it out"):
            Playback(reader, ReplayConfig(topics=("add_two_ints/_service_event",)))


def test_a_bag_of_service_events_alone_has_nothing_to_replay(tmp_path: Path) -> None:
    expected = r"has nothing to replay: /add_two_ints/_service_event cannot be read"
    bag = write_mcap(tmp_path / "bag.mcap", [service_events()])
    with BagReader(bag) as reader, pytest.raises(UserError, match=expected):
        Playback(reader, ReplayConfig())


@pytest.mark.parametrize(
    ("definition", "encoding", "why"),
    [
        ("uint8 x\nown_msgs/Missing y", "ros2msg", "it uses own_msgs/msg/Missing, which is not defined"),
        ("own_msgs/Part x", "ros2msg", "own_msgs/msg/Part contains itself"),
        ("{}", "jsonschema", "it is written in jsonschema"),
        ("\0\1\2", "ros2msg", "it cannot be parsed"),
        ("uint8 class\nuint8 class", "ros2msg", "conflicting"),
    ],
)
def test_no_definition_is_more_than_a_lost_topic(
    tmp_path: Path, messages: Messages, definition: str, encoding: str, why: str
) -> None:
    odd = Topic("/odd", "own_msgs/msg/Part", [(START_NS, b"\0\1\0\0\0")], definition, encoding)
    bag = write_mcap(tmp_path / "bag.mcap", [*drive_topics(messages), odd])
    with BagReader(bag) as reader:
        assert why in reader.topics["/odd"].error
    assert read(bag) == (FRAMES, FRAMES)


def test_two_definitions_of_one_type_cost_the_second_topic(tmp_path: Path, messages: Messages) -> None:
    """As where two machines have different versions of a package."""
    separator = "=" * 80
    part = f"own_msgs/Part p\n{separator}\nMSG: own_msgs/Part\n"
    data = [(START_NS, b"\0\1\0\0\0\0\0\0")]
    first = Topic("/a", "own_msgs/msg/A", data, part + "uint8 x\n")
    second = Topic("/b", "own_msgs/msg/B", data, part + "uint16 x\n")
    with BagReader(write_mcap(tmp_path / "bag.mcap", [*drive_topics(messages), first, second])) as reader:
        assert not reader.topics["/a"].error
        assert "already present with different definition" in reader.topics["/b"].error


def test_a_camera_whose_definition_is_wrong_is_not_decoded_as_a_picture(tmp_path: Path, messages: Messages) -> None:
    camera, *others = drive_topics(messages)
    bag = write_folder(tmp_path / "bag", [camera._replace(definition="own_msgs/Missing x"), *others])
    with BagReader(bag) as reader:
        with pytest.raises(UserError, match=r"the camera topic /camera/image_raw cannot be read: the definition of"):
            find_camera_and(reader.topics.values())
        with pytest.raises(UserError, match="/camera/image_raw cannot be read"):
            find_roles(reader.topics.values(), {"image": "/camera/image_raw"})


@pytest.mark.parametrize("form", ["folder", "file", "truncated"])
def test_type_names_without_msg_are_understood(tmp_path: Path, messages: Messages, form: str) -> None:
    topics = drive_topics(messages, lambda kind: kind.replace("/msg/", "/"))
    assert topics[0].type == "sensor_msgs/Image"
    bag = write_folder(tmp_path / "bag", topics) if form == "folder" else write_mcap(tmp_path / "bag.mcap", topics)
    if form == "truncated":
        bag.write_bytes(bag.read_bytes()[:-40])
    assert read(bag) == (FRAMES, FRAMES)
    with BagReader(bag) as reader:
        assert {topic.type for topic in Playback(reader, ReplayConfig()).topics} == {IMAGE, "std_msgs/msg/String"}


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_topics_whose_qos_reads_otherwise_in_the_metadata_are_not_lost(
    tmp_path: Path, messages: Messages, storage: str
) -> None:
    """As after `ros2 bag reindex`: the files know what was offered, metadata.yaml has something else."""
    folder = write_drive(tmp_path / "bag", messages, storage=storage)
    information = yaml.safe_load((folder / "metadata.yaml").read_text())
    for listed in information["rosbag2_bagfile_information"]["topics_with_message_count"]:
        listed["topic_metadata"]["offered_qos_profiles"] = ""
    (folder / "metadata.yaml").write_text(yaml.safe_dump(information))
    with BagReader(folder) as reader:
        assert len(list(reader.raw())) == reader.message_count == 41


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"x: {'[' * 3000}{']' * 3000}\n", "line [0-9]+: more than 20 levels of nesting"),
        ("x: " + "[" * 20_000, "line [0-9]+: more than 20 levels of nesting"),
        (":\n" * 20_000, "not valid YAML at line [0-9]+"),
        ("x:\n" + "- [a, b]\n" * 30_000, "line [0-9]+: more than 60000 values and groups"),
        ("a: &a [b]\nc: *a\n", "line [0-9]+: an alias is not followed"),
        ("# " + "x" * 2_000_000, "is larger than 1048576 bytes"),
    ],
    ids=["deep", "open", "colons", "many", "alias", "large"],
)
def test_an_expanding_metadata_file_is_not_used(tmp_path: Path, messages: Messages, text: str, sentence: str) -> None:
    folder = write_folder(tmp_path / "bag", drive_topics(messages))
    file = folder / "metadata.yaml"
    file.write_text(file.read_text() + text)
    started = time.process_time()
    assert read(folder) == (FRAMES, FRAMES)
    assert time.process_time() - started < 5.0
    with BagReader(folder) as reader:
        assert reader.damage is not None
        assert re.search(rf"metadata.yaml cannot be used: .*{sentence}", reader.damage.message)


def test_quality_of_service_in_a_metadata_file_is_bounded(tmp_path: Path, messages: Messages) -> None:
    folder = write_folder(tmp_path / "bag", drive_topics(messages))
    file = folder / "metadata.yaml"
    file.write_text(file.read_text().replace("offered_qos_profiles: ''", f"offered_qos_profiles: '{'[' * 3000}'"))
    assert read(folder) == (FRAMES, FRAMES)


ENDLESS = "as with recursive r(x) as (select 1 union all select x+1 from r) select x id"


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (f"drop table messages; create view messages {ENDLESS}, 1 topic_id, x timestamp, '' data from r", "is a view"),
        (
            f"drop table topics; create view topics {ENDLESS}, 'a' name, 'b' type, 'cdr' serialization_format from r",
            "`topics` is a view",
        ),
        (f"drop table message_definitions; create view message_definitions {ENDLESS} from r", "is a view"),
        (
            "drop table messages; create table messages(id integer, topic_id integer, timestamp integer, data as (1))",
            "`messages.data` is not the column that rosbag2 makes (BLOB)",
        ),
        ("alter table messages rename column data to dates", "`messages.data` is not the column"),
        (f"update topics set offered_qos_profiles = '{'[' * 3000}'", "`topics.offered_qos_profiles` cannot be used"),
    ],
    ids=["messages", "topics", "definitions", "generated", "renamed", "profiles"],
)
@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_database_that_rosbag2_did_not_write(
    tmp_path: Path, messages: Messages, named: str, script: str, sentence: str
) -> None:
    folder = write_drive(tmp_path / "bag", messages, storage="sqlite3")
    file = next(folder.glob("*.db3"))
    change(file, script)
    with pytest.raises(UserError, match=re.escape(sentence)) as error:
        BagReader(folder if named == "folder" else file)
    assert "is not what rosbag2 writes" in str(error.value)
    with pytest.raises(UserError, match="is not what rosbag2 writes"):
        recover(folder)


@pytest.mark.parametrize("value", ["data = 'text'", "data = 5", "data = null", "timestamp = 'noon'"])
def test_rows_that_are_no_messages_are_skipped_and_counted(tmp_path: Path, messages: Messages, value: str) -> None:
    folder = write_drive(tmp_path / "bag", messages, storage="sqlite3")
    change(
        next(folder.glob("*.db3")),
        "pragma writable_schema = on;"
        "update sqlite_master set sql = replace(sql, 'data BLOB NOT NULL', 'data BLOB') where name = 'messages'",
        f"update messages set {value} where id = 7",
    )
    with BagReader(folder) as reader:
        events = list(reader.events(find_roles(reader.topics.values())))
        assert reader.damage is not None
        assert "has messages that are not bytes with a time" in reader.damage.message
        assert reader.message_count == len(events) == 40


def change(file: Path, *scripts: str) -> None:
    """Edit a database, each script in a connection of its own."""
    for script in scripts:
        database = sqlite3.connect(file)
        database.executescript(script)
        database.commit()
        database.close()


@pytest.mark.parametrize("name", ["bag_0.mcap", "bag_0.db3", "bag_0.mcap.zstd", "metadata.yaml"])
def test_a_git_lfs_pointer_is_named(tmp_path: Path, messages: Messages, name: str) -> None:
    folder = write_folder(tmp_path / "bag", drive_topics(messages))
    (folder / name).write_bytes(LFS_POINTER)
    with pytest.raises(UserError, match=rf"{name} is a Git LFS pointer, not the file of 12\.3 MB .*git lfs pull"):
        BagReader(folder)
    if name != "metadata.yaml":
        with pytest.raises(UserError, match="is a Git LFS pointer"):
            BagReader(folder / name)


def test_a_bag_without_a_camera_says_so_before_it_asks_for_a_command_topic(tmp_path: Path, messages: Messages) -> None:
    _, command, _ = drive_topics(messages)
    bag = write_folder(
        tmp_path / "bag", [command._replace(name="/front/velocity"), command._replace(name="/rear/velocity")]
    )
    expected = r"no camera topic \(Image or CompressedImage\), its topics: /front/velocity, /rear/velocity; record one"
    with BagReader(bag) as reader, pytest.raises(UserError, match=expected):
        find_camera_and(reader.topics.values())
    with pytest.raises(UserError, match=expected):
        build([bag], tmp_path / "data", BuildOptions())


@pytest.mark.parametrize("form", ["folder", "file"])
def test_another_serialization_format_is_refused_by_its_name(tmp_path: Path, messages: Messages, form: str) -> None:
    topics = [topic._replace(message_encoding="protobuf") for topic in drive_topics(messages)]
    bag = write_folder(tmp_path / "bag", topics) if form == "folder" else write_mcap(tmp_path / "bag.mcap", topics)
    with pytest.raises(
        UserError, match=r"its serialization format is 'protobuf', only 'cdr' can be read; record it again"
    ):
        BagReader(bag)


@pytest.mark.parametrize("form", ["folder", "file"])
def test_another_serialization_format_costs_its_own_topic(tmp_path: Path, messages: Messages, form: str) -> None:
    topics = [*drive_topics(messages), Topic("/json", TWIST, [(START_NS, b"{}")], message_encoding="json")]
    bag = write_folder(tmp_path / "bag", topics) if form == "folder" else write_mcap(tmp_path / "bag.mcap", topics)
    with BagReader(bag) as reader:
        assert reader.damage is None
        assert reader.unreadable == "/json cannot be read: its serialization format is 'json', only 'cdr' can be read"
        assert "/json" not in {message.topic for message in reader.raw()}
    assert read(bag) == (FRAMES, FRAMES)


@pytest.mark.parametrize("form", ["folder", "file", "truncated"])
def test_messages_compressed_one_by_one(tmp_path: Path, messages: Messages, form: str) -> None:
    pack = zstandard.ZstdCompressor().compress
    topics = [
        topic._replace(messages=[(log_ns, pack(data)) for log_ns, data in topic.messages])
        for topic in drive_topics(messages)
    ]
    folder = write_folder(tmp_path / "bag", topics)
    write_metadata(folder, "bag_0.mcap", topics, compression_format="zstd", compression_mode="MESSAGE")
    if form == "truncated":
        (folder / "bag_0.mcap").write_bytes((folder / "bag_0.mcap").read_bytes()[:-40])
    assert read(folder / "bag_0.mcap" if form == "file" else folder) == (FRAMES, FRAMES)


def test_a_file_compressed_as_a_whole(tmp_path: Path, messages: Messages) -> None:
    topics = drive_topics(messages)
    folder = write_folder(tmp_path / "bag", topics)
    write_metadata(folder, "bag_0.mcap.zstd", topics, compression_format="zstd", compression_mode="FILE")
    packed = folder / "bag_0.mcap.zstd"
    packed.write_bytes(zstandard.ZstdCompressor().compress((folder / "bag_0.mcap").read_bytes()))
    (folder / "bag_0.mcap").unlink()
    assert read(folder) == (FRAMES, FRAMES)
    with pytest.raises(
        UserError, match=r"is compressed as a whole; name its folder, .* or decompress it with `zstd -d`"
    ):
        BagReader(packed)
    packed.write_bytes(packed.read_bytes()[:-100])
    with pytest.raises(
        UserError, match=r"bag_0\.mcap\.zstd is compressed as a whole and cannot be opened .*copy the bag"
    ):
        BagReader(folder)


def test_anything_but_a_bag_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty_dir").mkdir()
    (tmp_path / "empty_dir" / ".gitkeep").touch()
    with pytest.raises(UserError, match=r"empty_dir is not a bag: the folder holds no \.mcap or \.db3 file"):
        BagReader(tmp_path / "empty_dir")
    (tmp_path / "notes.txt").write_text("drive of Tuesday")
    with pytest.raises(UserError, match="is not a bag: expected a rosbag2 folder"):
        BagReader(tmp_path / "notes.txt")
    (tmp_path / "folder.mcap").mkdir()
    with pytest.raises(UserError, match="is not a bag"):
        BagReader(tmp_path / "folder.mcap")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One small file of each storage."""
    folder, messages = tmp_path_factory.mktemp("sound"), Messages()
    kinds = {"mcap": {"compression": "none"}, "zstd.mcap": {}, "db3": {"storage": "sqlite3"}}
    files = {}
    for name, options in kinds.items():
        bag = write_drive(folder / name.replace(".", "_"), messages, frames=4, **options)
        files[name] = next(path for path in bag.iterdir() if path.name != "metadata.yaml").read_bytes()
    return files


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150, phases=(Phase.generate,), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_are_read_or_refused(tmp_path: Path, sound: dict[str, bytes], seed: int) -> None:
    """Overwritten, cut out, cut off: whatever is left is read, or there is one sentence; never anything else."""
    chance = random.Random(seed)
    kind = chance.choice(sorted(sound))
    content = bytearray(sound[kind])
    for _ in range(chance.randint(1, 3)):
        at, length = chance.randint(0, len(content)), chance.choice([1, 8, 200, len(content)])
        content[at : at + length] = chance.randbytes(chance.choice([0, 1, 16]))
    path = tmp_path / f"bag.{kind}"
    path.write_bytes(content)
    with contextlib.suppress(UserError), BagReader(path) as reader:
        for message in reader.raw():
            reader.decode_error(message)
        list(reader.events(find_roles(reader.topics.values())))


REFUSED = {
    "rosbag2_tests/empty_dir": "the folder holds no .mcap or .db3 file",
    "rosbag2_tests/mcap/wrong_rmw_test": "its serialization format is 'wrong_format', only 'cdr' can be read",
    "rosbag2_tests/mcap/wrong_rmw_test/wrong_rmw_test_0.mcap": "its serialization format is 'wrong_format'",
    "rosbag2_tests/sqlite3/wrong_rmw_test": "its serialization format is 'wrong_format', only 'cdr' can be read",
    "nav2_cm_moving_obstacle/_tmp_cm_bag_0.mcap.zstd": "is compressed as a whole; name its folder",
}
SERVICE_EVENTS = ("/test_service1/_service_event", "/test_service2/_service_event")
READ = {
    "nav2_cm_moving_obstacle": (693, ()),
    "rosbag2_cpp/only_services.mcap": (12, ("/add_two_ints/_service_event",)),
    "rosbag2_cpp/only_topics.mcap": (7, ()),
    "rosbag2_cpp/topics_and_services.mcap": (13, ("/add_two_ints/_service_event", "/add_two_ints2/_service_event")),
    "rosbag2_cpp/topics_and_services.db3": (13, ()),
    "rosbag2_tests/mcap/bag_with_topics_and_service_events": (10, SERVICE_EVENTS),
    "rosbag2_tests/mcap/cdr_test": (7, ()),
    "rosbag2_tests/mcap/cdr_test/cdr_test_0.mcap": (7, ()),
    "rosbag2_tests/sqlite3/bag_with_topics_and_service_events": (10, ()),
    "rosbag2_tests/sqlite3/cdr_test": (7, ()),
    "rosbag2_tests/sqlite3/cdr_test/cdr_test_0.db3": (7, ()),
    # the file itself says cdr; only its metadata.yaml knows better
    "rosbag2_tests/sqlite3/wrong_rmw_test/wrong_rmw_test_0.db3": (7, ()),
}


@pytest.mark.parametrize("name", READ)
def test_third_party_bags_are_read(name: str) -> None:
    count, lost = READ[name]
    with BagReader(shared_data("bags") / name) as reader:
        assert reader.damage is None
        found = list(reader.raw())
        assert len(found) == reader.message_count == count
        assert tuple(topic.name for topic in reader.topics.values() if topic.error) == lost
        flaws = [reader.decode_error(message) for message in found]
        assert not any(flaws)
        with pytest.raises(UserError, match="the bag has no camera topic"):
            find_camera_and(reader.topics.values())


@pytest.mark.parametrize("name", REFUSED)
def test_unreadable_third_party_bags_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=REFUSED[name]):
        BagReader(shared_data("bags") / name)


def test_every_shared_bag_is_tested() -> None:
    root = find_shared_data("bags")
    if root is None:
        shared_data("bags")
    assert root is not None
    named = {root / name for name in (*READ, *REFUSED)}
    folders = {path.parent for path in root.rglob("metadata.yaml")}
    loose = {path for path in root.rglob("*.*") if path.suffix in (".mcap", ".db3") and path.parent not in folders}
    assert folders | loose <= named
