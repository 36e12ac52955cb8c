"""execve and execveat."""

from incroos.kernel import files
from incroos.kernel.abi.arguments import HERE, begin_path, file_of, get_path, half, task_of, user_of
from incroos.kernel.abi.errno import EBADF, EINVAL, result_of
from incroos.kernel.abi.path_calls import EMPTY_PATH, NO_FOLLOW
from incroos.kernel.codes import OK, TOO_MANY_LINKS
from incroos.kernel.files.paths import FOLLOW, STAY, is_link
from incroos.kernel.files.text import put_decimal, put_text
from incroos.kernel.state import File, Kernel, Node
from incroos.kernel.task import texts
from incroos.kernel.task.exec import execute
from incroos.lang import apart, kernel, store8, word


@apart
@kernel
def execve(k: Kernel, path: word, arguments: word, environment: word) -> word:
    return execveat(k, HERE, path, arguments, environment, 0)


@apart
@kernel
def execveat(k: Kernel, folder: word, path: word, arguments: word, environment: word, flags: word) -> word:
    if half(flags) & ~(NO_FOLLOW | EMPTY_PATH) != 0:
        return -EINVAL
    if half(flags) & EMPTY_PATH != 0 and get_path(k, path) == 0:
        return execute_file(k, folder, arguments, environment)
    nbytes, start = begin_path(k, folder, path)
    if nbytes < 0:
        return nbytes
    code, at = texts.gather(k, user_of(k), arguments, environment, files.text_of(k), nbytes + 1)
    if code != OK:
        return result_of(code)
    at_link = STAY if half(flags) & NO_FOLLOW != 0 else FOLLOW
    code, node = files.walk(k, task_of(k), Node(k.m, start), nbytes, at_link)
    if code == OK:
        code = TOO_MANY_LINKS if is_link(Node(k.m, node)) else execute(k, Node(k.m, node), texts.Texts(k.m, at))
    texts.destroy(k, texts.Texts(k.m, at))
    return result_of(code)


@kernel
def execute_file(k: Kernel, descriptor: word, arguments: word, environment: word) -> word:
    """Execute what a descriptor names; the program's name is /dev/fd/N."""
    at = file_of(k, descriptor)
    if at == 0:
        return -EBADF
    name = files.text_of(k)
    end = put_decimal(k.m, put_text(k.m, name, b'/dev/fd/'), half(descriptor))
    store8(k.m, end, 0)
    code, gathered = texts.gather(k, user_of(k), arguments, environment, name, end + 1 - name)
    if code != OK:
        return result_of(code)
    code = execute(k, Node(k.m, File(k.m, at).node), texts.Texts(k.m, gathered))
    texts.destroy(k, texts.Texts(k.m, gathered))
    return result_of(code)
